"""The authorization matrix and the contract, checked on whatever routes an application has.

Nothing here names a feature: routes come from the application, bodies from its schemas, rows from its own POSTs.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from httpx2 import AsyncClient, Response
from sqlalchemy import update

from app.auth.dependencies import superuser
from app.auth.models import User
from app.core.policy import depends_on, is_public, undeclared_routes
from tests import factories
from tests.conformance.bodies import Schemas

API = "/api/v1"
MISSING_ID = 2**31 - 1


@dataclass(frozen=True)
class Operation:
    """A method on a path of the API."""

    method: str
    path: str
    route: RouteContext

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def policy(self) -> str:
        if is_public(self.route.endpoint):
            return "public"
        return "superuser" if depends_on(self.route.dependant, superuser) else "user"

    @property
    def is_on_a_row(self) -> bool:
        return self.path.endswith("}")


def operations(app: FastAPI) -> Iterator[Operation]:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and (route.path or "").startswith(API):
            for method in sorted(route.methods or ()):
                yield Operation(method, route.path or "", route)


class World:
    """An application's routes, and the people who try them."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.schemas = Schemas(app)
        self.nobody = factories.client(app)

    @cached_property
    def operations(self) -> dict[tuple[str, str], Operation]:
        return {(operation.method, operation.path): operation for operation in operations(self.app)}

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

    async def url(self, operation: Operation, owner: factories.Actor) -> str:
        """The operation's path, its parameters filled with rows that belong to the owner."""
        return await self._fill(operation.path, owner)

    async def _fill(self, path: str, owner: factories.Actor) -> str:
        head, brace, rest = path.rpartition("/{")
        if not brace:
            return path
        name, _, tail = rest.partition("}")
        collection = await self._fill(head, owner)
        return f"{collection}/{await self._row_id(head, collection, name, owner)}{tail}"

    async def _row_id(self, template: str, collection: str, name: str, owner: factories.Actor) -> Any:
        if create := self.operations.get(("POST", template)):
            who = owner if create.policy == "user" else await factories.superuser(self.app)
            body = self.schemas.body("POST", template)
            response = await who.http.post(collection, json=body)
            assert response.status_code == 201, f"POST {template} refuses a valid body: {response.text}"
            return response.json()["id"]
        listing = self.operations.get(("GET", template))
        assert listing, f"{template}/{{{name}}} has neither a POST nor a GET to find a row with"
        if listing.policy == "user":
            return (await owner.http.get(collection)).json()[0]["id"]
        return owner.id  # accounts themselves

    async def call(
        self,
        http: AsyncClient,
        operation: Operation,
        url: str,
        headers: dict[str, str] | None = None,
        changes: dict[str, Any] | None = None,
    ) -> Response:
        """The operation with a valid body."""
        body = self.schemas.body(operation.method, operation.path)
        content = None if body is None else body | (changes or {})
        return await http.request(operation.method, url, headers=headers, json=content)

    async def collection(self, operation: Operation, owner: factories.Actor) -> str:
        """The operation's path, up to the rows that it is about."""
        return await self._fill(operation.path, owner)

    async def create(self, operation: Operation, owner: factories.Actor) -> None:
        """One more row in the collection."""
        await self._row_id(operation.path, await self.collection(operation, owner), "id", owner)


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
    for who, http in strangers.items():
        response = await world.call(http, operation, await world.url(operation, owner))
        assert response.status_code == 401, f"{operation} answers {response.status_code} to {who}"
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def check_superusers_only(world: World, operation: Operation) -> None:
    owner, admin = await factories.user(world.app), await factories.superuser(world.app)
    url = await world.url(operation, owner)
    response = await world.call(owner.http, operation, url)
    assert response.status_code == 403, f"{operation} answers {response.status_code} to a user"
    response = await world.call(admin.http, operation, url)
    assert response.is_success, f"{operation} answers {response.status_code} to a superuser: {response.text}"


async def check_own(world: World, operation: Operation) -> None:
    """Owners and superusers go through; a row that is not there is 404."""
    for make in (factories.user, factories.superuser):
        owner = await factories.user(world.app)
        actor = owner if make is factories.user else await make(world.app)
        response = await world.call(actor.http, operation, await world.url(operation, owner))
        assert response.is_success, f"{operation} answers {response.status_code} to {make.__name__}: {response.text}"
    if operation.is_on_a_row:
        parameter = next(
            part
            for part in world.schemas.operation(operation.method, operation.path)["parameters"]
            if part["in"] == "path" and operation.path.endswith(f"{{{part['name']}}}")
        )
        missing = uuid.uuid4() if parameter["schema"].get("format") == "uuid" else MISSING_ID
        owner = await factories.user(world.app)
        url = (await world.url(operation, owner)).rpartition("/")[0]
        response = await world.call(owner.http, operation, f"{url}/{missing}")
        assert response.status_code == 404, f"{operation} answers {response.status_code} for a row that is not there"


async def check_others(world: World, operation: Operation) -> None:
    """Another's row is 403, and stays as it was."""
    owner, other = await factories.user(world.app), await factories.user(world.app)
    url = await world.url(operation, owner)
    before = await _snapshot(world, operation, owner, url)
    response = await world.call(other.http, operation, url)
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
    collection = await world.collection(operation, owner)
    can_create = ("POST", operation.path) in world.operations
    if can_create:
        await world.create(operation, owner)
    for query in ("", f"?user_id={owner.id}"):
        seen = await other.http.get(f"{collection}{query}")
        leaked = [row for row in seen.json() if row["user_id"] == owner.id] if seen.is_success else []
        assert not leaked, f"{operation}{query} shows another's rows"
        if can_create:
            rows = (await admin.http.get(f"{collection}{query}")).json()
            assert any(row["user_id"] == owner.id for row in rows), f"{operation}{query} hides rows from a superuser"


async def check_unknown_fields(world: World, operation: Operation) -> None:
    """An owner or a role in a body is 422, and so is any field that the schema does not have."""
    schema = world.schemas.body_schema(operation.method, operation.path)
    if schema is None:
        return
    owner = await factories.superuser(world.app)
    for name, value in {"user_id": 1, "is_superuser": True, "no_such_field": 1}.items():
        if name not in schema["properties"]:
            url = await world.url(operation, owner)
            response = await world.call(owner.http, operation, url, changes={name: value})
            assert response.status_code == 422, f"{operation} answers {response.status_code} to the unknown {name}"


async def check_etag(world: World, operation: Operation) -> None:
    """A row's answer has an ETag; with a stale one a write is 412 and does nothing, with the right one it is done."""
    owner, admin = await factories.user(world.app), await factories.superuser(world.app)
    url = await world.url(operation, owner)
    read = await admin.http.get(url)
    etag = read.headers.get("ETag")
    assert etag, f"GET {operation.path} has no ETag"
    stale = await world.call(admin.http, operation, url, headers={"If-Match": '"stale"'})
    assert stale.status_code == 412, f"{operation} answers {stale.status_code} to a stale If-Match"
    assert (await admin.http.get(url)).json() == read.json(), f"{operation} was done in spite of a stale If-Match"
    fresh = await world.call(admin.http, operation, url, headers={"If-Match": etag})
    assert fresh.is_success, f"{operation} answers {fresh.status_code} to the row's own ETag"
    if fresh.content:
        again = await admin.http.get(url)
        assert fresh.headers["ETag"] == again.headers["ETag"] != etag, f"{operation} answers with another ETag"


async def check_idempotency_key(world: World, operation: Operation) -> None:
    """A repeat gives the first answer and makes no second row; the same key with another body is 422."""
    owner = await factories.user(world.app)
    collection = await world.collection(operation, owner)
    body = world.schemas.body("POST", operation.path) or {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = await owner.http.post(collection, json=body, headers=headers)
    again = await owner.http.post(collection, json=body, headers=headers)
    assert first.status_code == again.status_code == 201, f"{operation}: {first.status_code}, {again.status_code}"
    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"]), f"{operation} was repeated"
    count = (await owner.http.get(f"{collection}?count=true")).headers["X-Total-Count"]
    assert count == "1", f"{operation} made {count} rows of one key"
    different = await owner.http.post(collection, json=body | {"no_such_field": 1}, headers=headers)
    assert different.status_code == 422, f"{operation} answers {different.status_code} to a key with another body"
    assert "Idempotency-Key" in different.text, f"{operation} does not tell that the key was used"


async def check_strict_json(world: World, operation: Operation) -> None:
    """Of two fields of one name neither is silently dropped."""
    owner = await factories.superuser(world.app)
    url = await world.url(operation, owner)
    response = await owner.http.request(
        operation.method, url, content=b'{"a": 1, "a": 2}', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, f"{operation} answers {response.status_code} to a duplicate field"
    assert "Duplicate field" in response.text, f"{operation} does not refuse duplicate fields"
