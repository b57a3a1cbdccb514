"""Rows of any collection, made as a client would: routes from the application, bodies from its own OpenAPI document."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from app.core.policy import Policy, is_for_sessions, may_be_stored, policy_of
from tests import factories

API = "/api/v1"

# Rows that the application makes by itself, and no POST.
MADE_BY_ITSELF = {f"{API}/jobs": factories.dead_job}


@dataclass(frozen=True)
class Operation:
    """A method on a path of the API."""

    method: str
    path: str
    route: RouteContext

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def policy(self) -> Policy:
        return policy_of(self.route.endpoint, self.route.dependant, self.path)

    @property
    def is_for_users(self) -> bool:
        return self.policy in ("user", "owner")

    @property
    def may_be_stored(self) -> bool:
        return may_be_stored(self.route.endpoint)

    @property
    def needs_a_session(self) -> bool:
        return is_for_sessions(self.route.dependant)

    @property
    def is_on_a_row(self) -> bool:
        return self.path.endswith("}")


def operations(app: FastAPI) -> Iterator[Operation]:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and (route.path or "").startswith(API):
            for method in sorted(route.methods or ()):
                yield Operation(method, route.path or "", route)


async def row(actor: factories.Actor, path: str, **values: Any) -> dict[str, Any]:
    """A new row in `/api/v1/todos` or `/api/v1/items/{item_id}/comments`: what it needs, and the values.

    A value that the path has a place for, `item_id=7`, says where; otherwise the parent is new too.
    """
    rows, places = _rows(actor.app), re.findall(r"{(\w+)}", path)
    is_placed = places and all(name in values for name in places)
    url = path.format(**values) if is_placed else await rows.url(path, actor)
    fields = {name: value for name, value in values.items() if name not in places}
    body = await rows.body("POST", path, actor, required_only=True) or {}
    return await rows.create(path, url, actor, body | fields)


@cache
def _operations(app: FastAPI) -> dict[tuple[str, str], Operation]:
    return {(operation.method, operation.path): operation for operation in operations(app)}


@cache
def _rows(app: FastAPI) -> "Rows":
    return Rows(app)


class Rows:
    """What can be made through an application's routes; `beside` another, whose database it shares."""

    def __init__(self, app: FastAPI, beside: "Rows | None" = None) -> None:
        self.app = app
        self.document = app.openapi()
        # How many there were of each collection's fields.
        self._samples: Counter[tuple[str, str]] = beside._samples if beside else Counter()
        self._targets: dict[tuple[int, str], int] = beside._targets if beside else {}

    @property
    def operations(self) -> dict[tuple[str, str], Operation]:
        return _operations(self.app)

    def operation(self, method: str, path: str) -> dict[str, Any]:
        return self.document["paths"][path][method.lower()]

    def body_schema(self, method: str, path: str) -> dict[str, Any] | None:
        """The schema of an operation's JSON body, or None."""
        content = self.operation(method, path).get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        return None if schema is None else self.resolve(schema)

    async def body(
        self, method: str, path: str, owner: factories.Actor, *, required_only: bool = False
    ) -> dict[str, Any] | None:
        """A valid body, with every field or those that are required, or None for an operation without one."""
        schema = self.body_schema(method, path)
        if schema is None:
            return None
        names = schema.get("required", []) if required_only else schema["properties"]
        collection = path.rpartition("/{")[0] if path.endswith("}") else path
        return {name: await self._sample((collection, name), schema["properties"][name], owner) for name in names}

    def references(self, operation: Operation) -> dict[str, str]:
        """The fields of an operation's body that refer to rows, and the paths of their collections."""
        properties = (self.body_schema(operation.method, operation.path) or {}).get("properties", {})
        collections = {name: self._not_null(schema).get("x-collection") for name, schema in properties.items()}
        return {name: API + collection for name, collection in collections.items() if collection}

    async def url(self, path: str, owner: factories.Actor) -> str:
        """The path, its parameters filled with rows that belong to the owner."""
        head, brace, rest = path.rpartition("/{")
        if not brace:
            return path
        _, _, tail = rest.partition("}")
        collection = await self.url(head, owner)
        return f"{collection}/{await self._id(head, collection, owner)}{tail}"

    async def row(self, template: str, owner: factories.Actor, url: str) -> dict[str, Any]:
        """A row with every field, in the collection at the URL."""
        return await self.create(template, url, owner, await self.body("POST", template, owner) or {})

    async def create(self, template: str, url: str, owner: factories.Actor, body: dict[str, Any]) -> dict[str, Any]:
        who = owner if self.operations["POST", template].is_for_users else await factories.superuser(self.app)
        response = await who.http.post(url, json=body)
        assert response.status_code == 201, f"POST {template} refuses a valid body: {response.text}"
        return response.json()

    async def _id(self, template: str, url: str, owner: factories.Actor) -> Any:
        if ("POST", template) in self.operations:
            return (await self.row(template, owner, url))["id"]
        if template in MADE_BY_ITSELF:
            return await MADE_BY_ITSELF[template](self.app)
        listing = self.operations.get(("GET", template))
        assert listing, f"{template} has neither a POST nor a GET to find a row with"
        if listing.is_for_users:
            return (await owner.http.get(url)).json()[0]["id"]
        return owner.id  # accounts themselves

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    async def _referred(self, template: str, owner: factories.Actor) -> int:
        """A row for others of the owner's to refer to."""
        if (owner.id, template) not in self._targets:
            # What it needs and no more: else each reference would draw in all that its target refers to, and so on.
            body = await self.body("POST", template, owner, required_only=True) or {}
            url = await self.url(template, owner)
            self._targets[owner.id, template] = (await self.create(template, url, owner, body))["id"]
        return self._targets[owner.id, template]

    def _not_null(self, schema: dict[str, Any]) -> dict[str, Any]:
        schema = self.resolve(schema)
        return self.resolve(next(part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"))

    async def _sample(self, field: tuple[str, str], schema: dict[str, Any], owner: factories.Actor) -> Any:
        schema = self._not_null(schema)
        if collection := schema.get("x-collection"):
            return await self._referred(API + collection, owner)
        self._samples[field] += 1
        return _value(schema, self._samples[field])


def _value(schema: dict[str, Any], number: int) -> Any:
    """The number's valid value; they differ for as long as the schema has others."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    kind = schema.get("type", "object")
    if kind == "integer":  # FastAPI writes a bound as a float, which has no 64 bits
        low, high = int(schema.get("minimum", 1)), int(schema.get("maximum", 1000))
        first = 1 if low < 1 <= high else low
        return low + (first - low + number) % (high - low + 1)
    if kind == "string":
        return _text(schema, number)
    return {"number": 1 + number % 9, "boolean": True, "array": ["sample"], "object": {"sample": number}}[kind]


_NOW = datetime.now(UTC).replace(microsecond=0)


def _text(schema: dict[str, Any], number: int) -> str:
    moment = _NOW + timedelta(days=number, seconds=number)  # to come, as an expiry has to be
    formats = {
        "email": f"sample{number}@example.com",
        "password": factories.PASSWORD,
        "uuid": str(uuid.uuid4()),
        "date": moment.date().isoformat(),
        "date-time": moment.isoformat(),
        "uri": f"https://example.com/{number}",
    }
    text = formats.get(schema.get("format", ""), f"{str(number)[::-1]} sample")  # its first digit differs soonest
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
