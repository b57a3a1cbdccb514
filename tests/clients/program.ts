/** What a user of the TypeScript client writes; tests/e2e/test_clients.py compiles and runs it. */
import {
  type Answer,
  ApiError,
  type Data,
  type ExampleItemCreate,
  type ExampleItemResponse,
  Groundwork,
  type Pair,
  type RouteName,
  SecondFactorNeeded,
  type UserResponse,
} from "groundwork-client";

declare const process: { argv: string[] };
const [, , url = "", guarded = "", code = ""] = process.argv;
const password = "correct horse battery";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The operations whose answers have no type: none may. */
type Untyped = { [N in RouteName]: unknown extends Data<N> ? N : never }[RouteName];
const noneIsUntyped: Same<Untyped, never> = true;
const nothing: Same<Data<"deleteItem">, undefined> = true;

function equal(found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}

async function refused(call: () => Promise<unknown>): Promise<ApiError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const groundwork = new Groundwork(url);
const { api } = groundwork;
const account: Answer<UserResponse> = await api.register({ body: { email: "typescript@example.com", password } });
await groundwork.signIn("typescript@example.com", password);
equal((await api.getMe()).data, account.data);

const first: ExampleItemCreate = { title: "first", description: null };
const once = { params: { header: { "Idempotency-Key": "once" } }, body: first };
const created = await api.createItem(once);
const item = created.data;
equal((await api.createItem(once)).data.id, item.id);
const typed: [Same<typeof item, ExampleItemResponse>, Same<typeof item.description, string | null>] = [true, true];

const one = { params: { path: { item_id: item.id }, header: { "If-Match": created.etag } } };
const changed = await api.updateItem({ ...one, body: { title: "new" } });
equal([changed.data.title, changed.data.description], ["new", null]);
const stale = await refused(() => api.updateItem({ ...one, body: { is_completed: true } }));
equal([stale.status, stale.faults], [412, []]);
equal(stale.detail.includes("changed since"), true);
const invalid = await refused(() => api.createItem({ body: { title: "" } }));
equal([invalid.status, invalid.faults[0]?.loc], [422, ["body", "title"]]);

for (let number = 0; number < 4; number++) {
  await api.createItem({ body: { title: `item ${number}`, is_completed: number > 1 } });
}
const titles: string[] = [];
for await (const row of groundwork.every("listItems", { params: { query: { limit: 2, sort: "-id" } } })) {
  titles.push(row.title);
}
equal(titles, ["item 3", "item 2", "item 1", "item 0", "new"]);
const rest: ExampleItemResponse[] = [];
const query = { limit: 1, skip: 1 };
for await (const row of groundwork.every("listItems", { params: { query } })) rest.push(row);
equal(rest.length, 4);
equal((await api.listItems({ params: { query: { is_completed: true } } })).data.length, 2);
equal((await api.listItems({ params: { query: { count: true, limit: 1 } } })).total, 5);

function pair(): Pair {
  if (groundwork.tokens === undefined) throw new Error("nobody is signed in");
  return groundwork.tokens;
}

const used = pair();
groundwork.tokens = { ...used, access_token: "expired" };
const atOnce = await Promise.all([1, 2, 3, 4, 5].map(() => api.getItem({ params: { path: { item_id: item.id } } })));
equal(atOnce.map(({ data }) => data.title), Array(5).fill("new"));
equal(pair().refresh_token === used.refresh_token, false);
equal((await api.deleteItem({ params: { path: { item_id: item.id } } })).data, undefined);
const ended = pair().access_token;
await groundwork.signOut();
equal((await refused(() => new Groundwork(url, { apiKey: ended }).api.getMe())).status, 401);

const careful = new Groundwork(url);
const hint = await careful.signIn(guarded, password).catch((error: unknown) => error);
equal(hint instanceof SecondFactorNeeded, true);
await careful.signIn(guarded, password, () => code);
equal((await careful.api.getMe()).data.email, guarded);
const { key } = (await careful.api.createApiKey({ body: { name: "of a program", scope: "read" } })).data;
const reader = new Groundwork(url, { apiKey: key });
equal((await reader.api.listItems()).data, []);
equal((await refused(() => reader.api.createItem({ body: { title: "no" } }))).status, 403);

console.log(noneIsUntyped && nothing && typed.every(Boolean) ? "done" : "untyped");
