import createClient from "openapi-fetch";
import { Answer } from "./answers.js";
import { ApiError, SecondFactorNeeded } from "./errors.js";
import { routes } from "./generated/routes.js";
import type { Api, Arguments, ListName, RouteName, Row } from "./routes.js";
import { type Pair, type Send, Tokens } from "./tokens.js";

export interface Options {
  /** Sent instead of a session's tokens. */
  apiKey?: string;
  fetch?: Send;
}

/** What its types say is said by `Api`, operation by operation. */
type Fetch = (method: string, path: string, init: object) => Promise<{ data?: unknown; error?: unknown; response: Response }>;

interface Query {
  params?: { query?: { cursor?: string | null; skip?: number } };
}

/** The connection to the API, and who is signed in on it. */
export class Groundwork {
  /** A method for each route: `api.getItem({ params: { path: { item_id: 1 } } })`. It throws ApiError. */
  readonly api: Api;
  readonly #send: Send;
  readonly #tokens: Tokens;
  readonly #fetch: Fetch;

  constructor(baseUrl: string, options: Options = {}) {
    const base = baseUrl.replace(/\/+$/, "");
    this.#send = options.fetch ?? ((request) => fetch(request));
    this.#tokens = new Tokens(base, options.apiKey, this.#send);
    this.#fetch = createClient({ baseUrl: base }).request as unknown as Fetch;
    const names = Object.keys(routes) as RouteName[];
    const calls = names.map((name) => [name, (init?: object) => this.#call(name, init)]);
    this.api = Object.fromEntries(calls) as Api;
  }

  /** The session's tokens: keep them somewhere safe, and the session goes on with them. */
  get tokens(): Pair | undefined {
    return this.#tokens.pair;
  }

  set tokens(pair: Pair | undefined) {
    this.#tokens.pair = pair;
  }

  /** `code` is asked when the account has a second factor, and gives its six digits. */
  async signIn(email: string, password: string, code?: () => string | Promise<string>): Promise<void> {
    const { data } = await this.api.login({ body: { email, password } });
    if ("access_token" in data) {
      this.tokens = data;
      return;
    }
    if (code === undefined) throw new SecondFactorNeeded("a code of the second factor is needed");
    const body = { challenge_token: data.challenge_token, code: await code() };
    this.tokens = (await this.api.answerChallenge({ body })).data;
  }

  async signOut(): Promise<void> {
    await this.api.logout();
    this.tokens = undefined;
  }

  /** Every row of a list, page by page: `for await (const item of groundwork.every("listItems"))`. */
  async *every<N extends ListName>(name: N, ...args: Arguments<N>): AsyncGenerator<Row<N>, void, undefined> {
    let init: Query | undefined = args[0];
    for (;;) {
      const page = (await this.#call(name, init)) as Answer<Row<N>[]>;
      yield* page.data;
      if (page.nextCursor === undefined) return;
      // The cursor counts from where `skip` led.
      const { skip: _, ...query } = init?.params?.query ?? {};
      init = { ...init, params: { ...init?.params, query: { ...query, cursor: page.nextCursor } } };
    }
  }

  async #call(name: RouteName, init: object | undefined): Promise<Answer<unknown>> {
    const { method, path, signedIn } = routes[name];
    const send = signedIn ? this.#tokens.sendSigned : this.#send;
    const { data, error, response } = await this.#fetch(method, path, { ...init, fetch: send });
    if (!response.ok) throw ApiError.of(response, error);
    return new Answer<unknown>(data, response);
  }
}
