"""Hostile values in every field, parameter and header of every route are 4xx, never 5xx, and echoed by none.

Promises 1 and 4. The routes and their fields come from the application's own document, the values from
tests/hostile_values.py.

On SQLite `make check` tries every value in each field of each JSON body and form, in each parameter of each path and
query, and in each header. Every run tries a sample on each database, one in SHARE, different for each place and
database; and bodies and forms that cannot be parsed.

What a schema refuses it refuses before any database is asked: the samples are for what comes further.
"""

import zlib
from collections.abc import Sequence

import pytest
from fastapi import FastAPI

from app.auth.dependencies import CurrentUser
from app.core.routing import Router
from app.core.schemas import RequestSchema
from app.main import create_app
from tests import factories
from tests.attack import NO_JSON, Attack, try_all
from tests.conformance.matrix import World
from tests.hostile_values import VALUES, bare
from tests.rows import Operation, operations

OPERATIONS = list(operations(create_app(factories.settings())))

SHARE = 12
SHARE_OF_SQLITE = 36  # where `make check` tries all of them

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
on_sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

BODIES = [
    b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 500_000 + b'"', b"\xff\xfe",
    b"\xef\xbb\xbf{}", b'{"title": "\xff"}', b'{"title": "\xed\xa0\x80"}', b"\0", b'{"\0": 1}', b'{"\\ud800": 1}',
    b"1" * 10_000, b"nul", b"{}{}",
]  # fmt: skip


def sample(values: Sequence[bytes], backend: str, *of: object) -> list[bytes]:
    share = SHARE_OF_SQLITE if backend == "sqlite" else SHARE
    return list(values[zlib.crc32(repr((backend, *of)).encode()) % share :: share])


@pytest.fixture
async def world(app: FastAPI) -> World:
    await factories.superuser(app)  # so that no other is the last
    return World(app)


async def test_nul_is_refused_in_a_query_and_in_a_form(world: World) -> None:
    for operation in OPERATIONS:
        attack = Attack(world, operation)
        if attack.form:
            answer = await world.nobody.post(operation.path, data=dict.fromkeys(attack.form["properties"], "a\0"))
            assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "unstorable"), str(operation)
        answer = await world.nobody.request(operation.method, f"{operation.path}?no_such_parameter=%00")
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "unstorable"), str(operation)


@every_operation
async def test_hostile_values(world: World, backend: str, operation: Operation) -> None:
    await try_all(world, operation, lambda values, place: sample(values, backend, str(operation), place))


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
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
    factories.share(other, app)
    other.include_router(router)
    (operation,) = [operation for operation in operations(other) if "fragile" in operation.path]
    values = [b'"{{7*7}}"', b"[1]", b"2.5"]
    for name in ("text", "q"):
        only = {"number": values, name: values}
        with pytest.raises(AssertionError, match=rf"{name}.*7\*7.*: 500"):
            await try_all(World(other), operation, lambda _, place, only=only: only.get(place[1], [b'"x"']))
    await try_all(World(other), operation, lambda _values, _place: values[1:])


@on_sqlite_only  # none of them is asked of a database
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


@on_sqlite_only
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


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
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
