"""The authorization matrix and the contract, checked on whatever routes an application has.

Nothing here names a feature: routes come from the application, bodies from its schemas, rows from its own POSTs.
"""

import base64
import uuid
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select, update

from app.auth.models import User
from app.core.http.idempotency import IdempotencyKey
from app.core.policy import undeclared_routes
from tests import factories
from tests.rows import API, Operation, Rows

MISSING_ID = 2**31 - 1

# Of a forged cursor, as JSON.
PLACES = [
    "null", "true", "[]", "{}", "NaN", "1e400", "1.5", "-1", "2147483648", "9223372036854775808", "9" * 4000,
    '""', '"x"', '"\\u0000"', '"\\ud800"', '"1"', '"-1"', '"1E+9999999"', '"-1E+9999999"', '"1E-9999999"',
    '"0E+999999"', '"Infinity"', '"sNaN"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"',
    '"2026-13-01"', '"24:00"', '"00000000-0000-0000-0000-000000000000"', f'"{"x" * 4000}"',
]  # fmt: skip


class World(Rows):
    """An application's routes, and the people who try them."""

    def __init__(self, app: FastAPI, beside: Rows | None = None) -> None:
        super().__init__(app, beside)
        self.nobody = factories.client(app)

    async def deactivated(self) -> AsyncClient:
        actor = await factories.user(self.app)
        async with self.app.state.database.sessions.begin() as db:
            await db.execute(update(User).where(User.id == actor.id).values(is_active=False))
        return actor.http

    async def signed_out(self) -> AsyncClient:
        actor = await factories.user(self.app)
        response = await actor.http.post(f"{API}/auth/logout")
        assert response.status_code == 204, response.text
        return actor.http

    async def call(
        self,
        http: AsyncClient,
        operation: Operation,
        url: str,
        owner: factories.Actor,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """The operation with a valid body, whose references are to rows of the owner's."""
        body = await self.body(operation.method, operation.path, owner)
        return await http.request(operation.method, url, headers=headers, json=body)

    def is_an_action(self, operation: Operation) -> bool:
        """Neither a row nor a collection: `/items/{item_id}/complete`, which may have reasons of its own to refuse."""
        is_collection = any(path.startswith(f"{operation.path}/{{") for _, path in self.operations)
        return operation.policy == "owner" and not operation.is_on_a_row and not is_collection

    def takes(self, operation: Operation, parameter: str) -> bool:
        parameters = self.operation(operation.method, operation.path).get("parameters", [])
        return parameter in [part["name"] for part in parameters]


def check_declared(world: World) -> None:
    """Denied by default: every route authenticates, or says that it is public."""
    undeclared = list(undeclared_routes(world.app.routes))
    assert not undeclared, f"neither authenticated nor @public: {undeclared}"


async def check_signed_in(world: World, operation: Operation) -> None:
    """Nobody, a deactivated and a signed-out user are 401."""
    owner = await factories.user(world.app)
    strangers = {
        "nobody": world.nobody,
        "a deactivated user": await world.deactivated(),
        "a signed-out user": await world.signed_out(),
        "a user with a broken token": factories.client(world.app, owner.token[:-2]),
    }
    url = await world.url(operation.path, owner)
    body = await world.body(operation.method, operation.path, owner)
    for who, http in strangers.items():
        response = await http.request(operation.method, url, json=body)
        assert response.status_code == 401, f"{operation} answers {response.status_code} to {who}"
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def check_api_keys(world: World, operation: Operation) -> None:
    """A key goes as far as its scope, and nowhere where a signed-in device is needed."""
    make = factories.superuser if operation.policy == "superuser" else factories.user
    for scope in ("read", "write"):
        owner = await make(world.app)
        http = factories.client(world.app, (await factories.key(owner, scope=scope))["key"])
        response = await world.call(http, operation, await world.url(operation.path, owner), owner)
        told = f"{operation} answers {response.status_code} to a key that may {scope}: {response.text}"
        if scope == "read" and operation.method != "GET":
            assert (response.status_code, "may only read" in response.text) == (403, True), told
        elif operation.needs_a_session:
            assert (response.status_code, "signed-in session" in response.text) == (403, True), told
        else:
            assert response.is_success or (world.is_an_action(operation) and response.status_code in (409, 422)), told


async def check_superusers_only(world: World, operation: Operation) -> None:
    owner, admin = await factories.user(world.app), await factories.superuser(world.app)
    url = await world.url(operation.path, owner)
    response = await world.call(owner.http, operation, url, owner)
    assert response.status_code == 403, f"{operation} answers {response.status_code} to a user"
    response = await world.call(admin.http, operation, url, owner)
    assert response.is_success, f"{operation} answers {response.status_code} to a superuser: {response.text}"


async def check_open(world: World, operation: Operation) -> None:
    """What says that it is public shows its rows to whoever has not signed in; nothing else does."""
    owner = await factories.user(world.app)
    url = await world.url(operation.path, owner)
    if ("POST", operation.path) in world.operations:
        await world.row(operation.path, owner, url)
    response = await world.nobody.get(url)
    expected = 200 if operation.policy == "public" else 401
    assert response.status_code == expected, f"{operation} answers {response.status_code} to nobody in particular"
    assert response.json(), f"{operation} shows nothing"


async def check_own(world: World, operation: Operation) -> None:
    """Owners and superusers go through; a row that is not there is 404."""
    for make in (factories.user, factories.superuser):
        owner = await factories.user(world.app)
        actor = owner if make is factories.user else await make(world.app)
        response = await world.call(actor.http, operation, await world.url(operation.path, owner), owner)
        is_let_in = response.is_success or (world.is_an_action(operation) and response.status_code in (409, 422))
        assert is_let_in, f"{operation} answers {response.status_code} to {make.__name__}: {response.text}"
    if operation.is_on_a_row:
        await check_missing(world, operation)
    if operation.path.count("{") > 1:
        await check_below_its_own_parent_only(world, operation)


async def check_missing(world: World, operation: Operation) -> None:
    parameter = next(
        part
        for part in world.operation(operation.method, operation.path)["parameters"]
        if part["in"] == "path" and operation.path.endswith(f"{{{part['name']}}}")
    )
    missing = uuid.uuid4() if parameter["schema"].get("format") == "uuid" else MISSING_ID
    owner = await factories.user(world.app)
    url = (await world.url(operation.path, owner)).rpartition("/")[0]
    response = await world.call(owner.http, operation, f"{url}/{missing}", owner)
    assert response.status_code == 404, f"{operation} answers {response.status_code} for a row that is not there"


async def check_below_its_own_parent_only(world: World, operation: Operation) -> None:
    """A row is not found below another parent than its own, whoever's that is."""
    owner = await factories.user(world.app)
    head, _, row_id = (await world.url(operation.path, owner)).rpartition("/")
    collection = operation.path.rpartition("/")[0]
    other_parent = await world.url(collection, owner)
    assert other_parent != head
    response = await world.call(owner.http, operation, f"{other_parent}/{row_id}", owner)
    assert response.status_code == 404, f"{operation} answers {response.status_code} for a row below another parent"


async def check_others(world: World, operation: Operation) -> None:
    """Another's row, and what is below it, is 403 and stays as it was."""
    owner, other = await factories.user(world.app), await factories.user(world.app)
    url = await world.url(operation.path, owner)
    before = await _snapshot(world, operation, owner, url)
    response = await world.call(other.http, operation, url, owner)
    assert response.status_code == 403, f"{operation} answers {response.status_code} for another's row"
    assert await _snapshot(world, operation, owner, url) == before, f"{operation} changed another's row"


async def _snapshot(world: World, operation: Operation, owner: factories.Actor, url: str) -> Any:
    if ("GET", operation.path) in world.operations:
        return (await owner.http.get(url)).json()
    return (await owner.http.get(url.rpartition("/")[0])).json()


async def check_list(world: World, operation: Operation) -> None:
    """A list holds the caller's rows and nobody else's, asked for by owner or not; a superuser's holds them all."""
    owner, other = await factories.user(world.app), await factories.user(world.app)
    admin = await factories.superuser(world.app)
    collection = await world.url(operation.path, owner)
    can_create = ("POST", operation.path) in world.operations
    if can_create:
        await world.row(operation.path, owner, collection)
    queries = ["?", *([f"?user_id={owner.id}&"] if world.takes(operation, "user_id") else [])]
    if world.takes(operation, "count"):  # which is not a page that was built before
        queries += [f"{query}count=true" for query in queries]
    for query in queries:
        seen = await other.http.get(f"{collection}{query}")
        leaked = [row for row in seen.json() if row["user_id"] == owner.id] if seen.is_success else []
        assert not leaked, f"{operation}{query} shows another's rows"
        if can_create:
            rows = (await admin.http.get(f"{collection}{query}")).json()
            assert any(row["user_id"] == owner.id for row in rows), f"{operation}{query} hides rows from a superuser"


async def check_cursors(world: World, operation: Operation) -> None:
    """A cursor is what a client sends: whatever it says of a row's place, it is that of a row, or 422."""
    admin = await factories.superuser(world.app)
    url = await world.url(operation.path, admin)
    told = (await admin.http.get(url, params={"sort": "no_such_field"})).json()["detail"][0]["msg"]
    for name in told.partition(": ")[2].removesuffix(", each once").split(", "):
        sort = "id" if name == "id" else f"{name},id"
        for value in PLACES:
            text = f'["{sort}",{value}{"" if name == "id" else ",1"}]'
            cursor = base64.urlsafe_b64encode(text.encode()).decode()
            answer = await admin.http.get(url, params={"sort": name, "cursor": cursor})
            assert answer.status_code in (200, 422), f"{operation} answers {answer.status_code} after {value} of {name}"


async def check_unknown_fields(world: World, operation: Operation) -> None:
    """An owner or a role in a body is 422, and so is any field that the schema does not have."""
    schema = world.body_schema(operation.method, operation.path)
    if schema is None:
        return
    owner = await factories.superuser(world.app)
    url = await world.url(operation.path, owner)
    good = await world.body(operation.method, operation.path, owner) or {}
    for name, value in {"user_id": 1, "is_superuser": True, "no_such_field": 1}.items():
        if name not in schema["properties"]:
            response = await owner.http.request(operation.method, url, json=good | {name: value})
            assert response.status_code == 422, f"{operation} answers {response.status_code} to the unknown {name}"


async def check_references(world: World, operation: Operation) -> None:
    """A body refers to what its sender may see: another's row is 422, like one that is not there, and does nothing."""
    owner, other = await factories.user(world.app), await factories.user(world.app)
    url = await world.url(operation.path, owner)
    good = await world.body(operation.method, operation.path, owner) or {}
    theirs = await world.body(operation.method, operation.path, other) or {}
    for name, template in world.references(operation).items():
        may_see = not world.operations["GET", template].is_for_users
        for value, expected in ((theirs[name], may_see), (MISSING_ID, False)):
            response = await owner.http.request(operation.method, url, json=good | {name: value})
            assert response.is_success is expected, f"{operation} answers {response.status_code} to {name} of another"
            if not expected:
                assert response.status_code == 422
                assert response.json()["detail"][0]["loc"] == ["body", name]


async def check_deleting_what_is_referred_to(world: World, operation: Operation) -> None:
    """It is refused, or takes the row along, or leaves it without the reference: the client hears which."""
    owner, admin = await factories.user(world.app), await factories.superuser(world.app)
    for name, template in world.references(operation).items():
        url = await world.url(operation.path, owner)
        row = await world.row(operation.path, owner, url)
        if row[name] is None or "{" in template:
            continue
        deleted = await admin.http.delete(f"{template}/{row[name]}")
        left = await admin.http.get(f"{url}/{row['id']}")
        if deleted.status_code == 409:
            assert left.json() == row, f"{operation}: {name} was refused to be deleted, and the row changed"
        else:
            assert deleted.status_code == 204, f"{operation}: deleting {name} is {deleted.status_code}"
            assert left.status_code == 404 or left.json()[name] is None, f"{operation}: {name} leads nowhere"
            return


async def check_etag(world: World, operation: Operation) -> None:
    """A row's answer has an ETag; with a stale one a write is 412 and does nothing, with the right one it is done."""
    owner, admin = await factories.user(world.app), await factories.superuser(world.app)
    url = await world.url(operation.path, owner)
    read = await admin.http.get(url)
    etag = read.headers.get("ETag")
    assert etag, f"GET {operation.path} has no ETag"
    stale = await world.call(admin.http, operation, url, owner, headers={"If-Match": '"stale"'})
    assert stale.status_code == 412, f"{operation} answers {stale.status_code} to a stale If-Match"
    assert (await admin.http.get(url)).json() == read.json(), f"{operation} was done in spite of a stale If-Match"
    fresh = await world.call(admin.http, operation, url, owner, headers={"If-Match": etag})
    assert fresh.is_success, f"{operation} answers {fresh.status_code} to the row's own ETag"
    if fresh.content:
        again = await admin.http.get(url)
        assert fresh.headers["ETag"] == again.headers["ETag"] != etag, f"{operation} answers with another ETag"


async def check_idempotency_key(world: World, operation: Operation) -> None:
    """A repeat gives the first answer and makes no second row; the same key with another body is 422."""
    owner = await factories.user(world.app)
    collection = await world.url(operation.path, owner)
    body = await world.body("POST", operation.path, owner) or {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    before = await _count(owner, collection)
    first = await owner.http.post(collection, json=body, headers=headers)
    again = await owner.http.post(collection, json=body, headers=headers)
    assert first.status_code == again.status_code == 201, f"{operation}: {first.status_code}, {again.status_code}"
    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"]), f"{operation} was repeated"
    made = await _count(owner, collection) - before
    assert made == 1, f"{operation} made {made} rows of one key"
    different = await owner.http.post(collection, json=body | {"no_such_field": 1}, headers=headers)
    assert different.status_code == 422, f"{operation} answers {different.status_code} to a key with another body"
    assert "Idempotency-Key" in different.text, f"{operation} does not tell that the key was used"
    row = await owner.http.get(f"{collection}/{first.json()['id']}")
    assert (row.json(), row.headers["ETag"]) == (first.json(), first.headers["ETag"]), f"{operation} told another row"


async def check_nothing_is_stored(world: World, operation: Operation) -> None:
    """An answer that shows a secret: a key changes nothing, and what was shown is not shown again."""
    owner = await factories.user(world.app)
    collection = await world.url(operation.path, owner)
    body = await world.body("POST", operation.path, owner) or {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = await owner.http.post(collection, json=body, headers=headers)
    again = await owner.http.post(collection, json=body, headers=headers)
    assert first.status_code == again.status_code == 201, f"{operation}: {first.status_code}, {again.status_code}"
    assert first.json() != again.json(), f"{operation} repeats an answer that shows a secret"
    assert "ETag" not in first.headers, f"{operation} gives what no GET does an ETag"
    stored = await world.app.state.database.read.count(select(IdempotencyKey))
    assert stored == 0, f"{operation} stores an answer that shows a secret"


async def _count(owner: factories.Actor, collection: str) -> int:
    return int((await owner.http.get(f"{collection}?count=true")).headers["X-Total-Count"])


async def check_strict_json(world: World, operation: Operation) -> None:
    """Of two fields of one name neither is silently dropped."""
    owner = await factories.superuser(world.app)
    url = await world.url(operation.path, owner)
    response = await owner.http.request(
        operation.method, url, content=b'{"a": 1, "a": 2}', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, f"{operation} answers {response.status_code} to a duplicate field"
    assert "Duplicate field" in response.text, f"{operation} does not refuse duplicate fields"
