"""Hostile values in every field, parameter and header of every route are 4xx, never 5xx, and echoed by none.

Promises 1 and 4. The routes and their fields come from the application's own document, the values from
tests/hostile_values.py.

On SQLite `make check` tries every value in each field of each JSON body and form, in each parameter of each path and
query, and in each header. Every run tries a sample of them there on each database: one in SHARE, others for each place
and database.

What a schema refuses it refuses before any database is asked: the samples are for what comes further.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from urllib.parse import quote_from_bytes

import pytest
from fastapi import FastAPI
from httpx2 import Response

from app.auth.dependencies import CurrentUser
from app.core.routing import Router
from app.core.schemas import RequestSchema
from app.core.strict_json import parse
from app.main import create_app
from tests import factories
from tests.conformance.matrix import World
from tests.hostile_values import NAMES, VALUES, bare
from tests.rows import Operation, operations

OPERATIONS = list(operations(create_app(factories.settings())))

SHARE = 12
LONGEST_IN_A_URL = 2000  # servers take a URL of 8 KB or so
FORM = "application/x-www-form-urlencoded"

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
on_sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

BODIES = [
    b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 500_000 + b'"', b"\xff\xfe",
    b"\xef\xbb\xbf{}", b'{"title": "\xff"}', b'{"title": "\xed\xa0\x80"}', b"\0", b'{"\0": 1}', b'{"\\ud800": 1}',
    b"1" * 10_000, b"nul", b"{}{}",
]  # fmt: skip


def is_json(value: bytes) -> bool:
    try:
        parse(value)
    except Exception:  # noqa: BLE001
        return False
    return True


JSON = [value for value in VALUES if is_json(value)]
NO_JSON = [value for value in VALUES if not is_json(value)]


def sample(values: Sequence[bytes], *of: object) -> list[bytes]:
    return list(values[zlib.crc32(repr(of).encode()) % SHARE :: SHARE])


Place = tuple[str, str]  # ("body", "title"): as a 422 says where it is


class Attack:
    """Sends an operation as a superuser, with hostile values in some places and with what is right in the others."""

    def __init__(self, world: World, operation: Operation) -> None:
        self.world = world
        self.operation = operation
        document = world.operation(operation.method, operation.path)
        self.places: list[Place] = [(part["in"], part["name"]) for part in document.get("parameters", [])]
        self.places = [place for place in self.places if place[0] in ("path", "query")]
        self.schema = world.body_schema(operation.method, operation.path)
        form = document.get("requestBody", {}).get("content", {}).get(FORM)
        self.form = world.resolve(form["schema"]) if form else None
        self.places += [("body", name) for name in (self.schema or self.form or {}).get("properties", {})]

    async def begin(self) -> None:
        self.actor = await factories.superuser(self.world.app)
        self.url = await self.world.url(self.operation.path, self.actor)
        good = await self.world.body(self.operation.method, self.operation.path, self.actor) or {}
        self.good = {name: json.dumps(value).encode() for name, value in good.items()}

    async def send(self, values: dict[Place, bytes]) -> Response:
        """Once more, as another, where the value before deleted, demoted or signed out who sent it."""
        response = await self._request(values)
        has_lost = {"public": (), "superuser": (401, 403)}.get(self.operation.policy, (401,))
        if response.status_code in has_lost:
            await self.begin()
            response = await self._request(values)
        shown = f"{self.operation} { {name: value[:60] for (_, name), value in values.items()} }"
        assert response.status_code < 500, f"{shown}: {response.status_code}"
        assert response.status_code != 413, f"{shown}: too large to be tried"
        assert response.status_code < 400 or response.json()["detail"], shown
        assert len(response.content) < 200_000, shown
        return response

    async def _request(self, values: dict[Place, bytes]) -> Response:
        sent = {
            kind: {name: value for (k, name), value in values.items() if k == kind}
            for kind in ("path", "query", "body")
        }
        url = [sent["path"].get(part[1:-1]) for part in self.operation.path.split("/")]
        path = "/".join(
            right if value is None else quoted(value) for right, value in zip(self.url.split("/"), url, strict=True)
        )
        query = "&".join(f"{name}={quoted(value)}" for name, value in sent["query"].items())
        content, kind = self._content(sent["body"])
        headers = {"Content-Type": kind} if content is not None else {}
        url = f"{path}?{query}" if query else path
        return await self.actor.http.request(self.operation.method, url, content=content, headers=headers)

    def _content(self, values: dict[str, bytes]) -> tuple[bytes | None, str]:
        if self.schema:
            members = [json.dumps(name).encode() + b":" + value for name, value in (self.good | values).items()]
            return b"{" + b",".join(members) + b"}", "application/json"
        if self.form:
            fields = dict.fromkeys(self.form.get("required", []), b"x") | values
            text = "&".join(f"{name}={quote_from_bytes(bare(value), safe='')}" for name, value in fields.items())
            return text.encode(), FORM
        return None, ""


def quoted(value: bytes) -> str:
    return quote_from_bytes(bare(value)[:LONGEST_IN_A_URL], safe="")


async def try_each(attack: Attack, values: dict[Place, Sequence[bytes]]) -> None:
    """Each value in each place.

    A request has a value in every place, another in each. The answer names the places whose values a schema refused;
    the others are sent again without those, until they are refused for themselves or let in.
    """
    for turn in range(max(map(len, values.values()), default=0)):
        left = {place: own[(turn + 7 * number) % len(own)] for number, (place, own) in enumerate(values.items())}
        response = await attack.send(left)
        while refused := refused_places(response) & left.keys():
            left = {place: value for place, value in left.items() if place not in refused}
            if not left:
                break
            response = await attack.send(left)
        if len(left) > 1 and not response.is_success:  # one of them was the reason, and hid the others
            for place, value in left.items():
                await attack.send({place: value})


def refused_places(response: Response) -> set[Place]:
    if response.status_code != 422:
        return set()
    return {(str(fault["loc"][0]), str(fault["loc"][-1])) for fault in response.json()["detail"]}


async def try_all(
    world: World, operation: Operation, choose: Callable[[Sequence[bytes], Place], Sequence[bytes]]
) -> None:
    """`choose` says which of the values are tried in a place."""
    attack = Attack(world, operation)
    await attack.begin()
    in_json = [place for place in attack.places if place[0] == "body" and attack.schema]
    values = {place: choose(JSON if place in in_json else VALUES, place) for place in attack.places}
    await try_each(attack, values)
    for place in in_json:
        for value in choose(NO_JSON, place):  # each spoils its whole body
            await attack.send({place: value})
    for name, value in zip(NAMES, VALUES[::37], strict=False):
        if attack.schema:
            await attack.send({("body", name): value})
        await attack.send({("query", "no_such_parameter"): value})


@pytest.fixture
async def world(app: FastAPI) -> World:
    await factories.superuser(app)  # so that no other is the last
    return World(app)


@every_operation
async def test_hostile_values(world: World, backend: str, operation: Operation) -> None:
    await try_all(world, operation, lambda values, place: sample(values, backend, str(operation), place))


@pytest.mark.whole_project
@on_sqlite_only
@every_operation
async def test_every_hostile_value_in_every_place(world: World, operation: Operation) -> None:
    await try_all(world, operation, lambda values, _: values)


def test_there_are_many_values() -> None:
    assert len(VALUES) == len(set(VALUES)) >= 500
    assert len(NO_JSON) > 100


class Fragile(RequestSchema):
    text: str
    number: int = 0


async def test_a_value_that_fells_an_endpoint_is_found_behind_those_that_a_schema_refuses(app: FastAPI) -> None:
    router = Router(prefix="/api/v1/fragile")

    @router.post("")
    async def fall(body: Fragile, caller: CurrentUser, q: str = "") -> None:
        assert "{{7*7}}" not in (body.text, q)

    other = create_app(app.state.settings)
    other.state.database, other.state.hasher = app.state.database, app.state.hasher
    other.include_router(router)
    (operation,) = [operation for operation in operations(other) if "fragile" in operation.path]
    values = [b'"{{7*7}}"', b"[1]", b"2.5"]
    for name in ("text", "q"):
        only = {"number": values, name: values}
        with pytest.raises(AssertionError, match=rf"{name}.*7\*7.*: 500"):
            await try_all(World(other), operation, lambda _, place, only=only: only.get(place[1], [b'"x"']))
    await try_all(World(other), operation, lambda _values, _place: values[1:])


@every_operation
async def test_hostile_bodies(world: World, operation: Operation) -> None:
    actor = await factories.superuser(world.app)
    if world.body_schema(operation.method, operation.path) is None:
        return
    url = await world.url(operation.path, actor)
    for content in BODIES:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
            response = await actor.http.request(operation.method, url, content=content, headers={"Content-Type": kind})
            assert 400 <= response.status_code < 500, f"{operation} {content[:20]!r}: {response.status_code}"
            assert "detail" in response.json()


@pytest.mark.parametrize(
    "form",
    [
        b"", b"username=%00&password=x", b"username=a%40example.com&password=%00", b"username=%ED%A0%80&password=%FF",
        b"username=a&username=b&password=c", b"&" * 2000, b"username=" + b"x" * 500_000 + b"&password=y",
        b"username=a%40example.com&password=" + b"x" * 500_000, b"\xff=\xfe", b"grant_type=x&username=a&password=b",
    ],
)  # fmt: skip
async def test_hostile_forms(world: World, form: bytes) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"):
        response = await world.nobody.post("/api/v1/auth/token", content=form, headers={"Content-Type": kind})
        assert 400 <= response.status_code < 500


HEADERS = ["If-Match", "Idempotency-Key", "X-Request-ID", "Accept", "Origin", "User-Agent", "Host", "Accept-Language"]


async def try_headers(world: World, values: Sequence[bytes]) -> None:
    owner = await factories.user(world.app)
    item = await factories.item(owner)
    for value in map(bare, values):
        if set(value) & set(b"\r\n\0"):  # no server hands these on: the line would end there
            continue
        for headers in (
            factories.header("Authorization", b"Bearer " + value),
            dict.fromkeys(map(str.encode, HEADERS), value),
        ):
            for method, url in [("POST", "/api/v1/items"), ("PUT", f"/api/v1/items/{item['id']}")]:
                response = await owner.http.request(method, url, json={"title": "x"}, headers=headers)
                assert response.status_code < 500, f"{method} {value[:60]!r}: {response.status_code}"


async def test_hostile_headers(world: World, backend: str) -> None:
    await try_headers(world, [*sample(VALUES, backend), b"x" * 10_000, b",,,", b"." * 5000, b""])


@pytest.mark.whole_project
@on_sqlite_only
async def test_every_hostile_value_in_every_header(world: World) -> None:
    await try_headers(world, VALUES)


async def test_nothing_that_was_sent_is_echoed(world: World) -> None:
    secret = "hunter2-hunter2"
    for body in (
        {"email": "nobody", "password": secret},
        {"email": secret, "password": "x"},
        {"email": "a@example.com", "password": [secret]},
        {"email": "a@example.com", "password": {"x": secret}},
        {"email": "a@example.com", "password": secret, "extra": secret},
        [secret],
        secret,
    ):
        for path in ("register", "login"):
            response = await world.nobody.post(f"/api/v1/auth/{path}", json=body)
            assert response.status_code == 422
            assert secret not in response.text
            assert "input" not in response.json()["detail"][0]
    response = await world.nobody.post("/api/v1/auth/login", content=f'{{"password": "{secret}"'.encode())
    assert secret not in response.text
