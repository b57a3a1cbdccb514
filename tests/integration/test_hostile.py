"""Hostile values in every field, path and parameter of every route are 4xx, never 5xx, and echoed by none.

Promises 1 and 4. The routes and their fields come from the application's own document.
"""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from app.main import create_app
from tests import factories
from tests.conformance.matrix import World
from tests.rows import Operation, operations

OPERATIONS = list(operations(create_app(factories.settings())))


class Raw(str):
    """JSON text as it goes over the wire; json.dumps would not write it."""


VALUES: list[Any] = [
    None, True, -1, 0, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**400, -(2**63) - 1, 0.5, Raw("1e400"), Raw("-1e400"),
    Raw("NaN"), Raw("Infinity"), Raw("-0"), "", " ", "\0", "a\0b", Raw('"\\u0000"'), Raw('"\\ud800"'),
    Raw('"\\udfff\\ud800"'), "\u202e\u200b\ufeff", "\ufffe\uffff", "🐎" * 300, "x" * 100_000, "%00", "%", "'", '"',
    "\\", "'; DROP TABLE users; --", "${jndi:ldap://x}", "{{7*7}}", "../../etc/passwd", "<script>", "null", "1e400",
    [], [[]], {}, {"a": {"a": []}}, [None], ["x"] * 1000, "2026-13-45", "9999-12-31T23:59:59.999999Z",
    "0000-00-00", "not-a-uuid", Raw("[" * 980 + "]" * 980), Raw('{"a":' * 980 + "1" + "}" * 980),
    Raw("1" * 5000), Raw('{"a":1,"a":2}'), Raw('"\\x"'), Raw("{"), Raw(""),
]  # fmt: skip

BODIES = [
    b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 500_000 + b'"', b"\xff\xfe",
    b"\xef\xbb\xbf{}", b'{"title": "\xff"}', b'{"title": "\xed\xa0\x80"}', b"\0", b'{"\0": 1}', b'{"\\ud800": 1}',
    b"1" * 10_000, b"nul", b"{}{}",
]  # fmt: skip


def dumped(values: dict[str, Any]) -> bytes:
    parts = [
        f"{json.dumps(name)}:{value if isinstance(value, Raw) else json.dumps(value)}" for name, value in values.items()
    ]
    return ("{" + ",".join(parts) + "}").encode()


@pytest.fixture
async def world(app: FastAPI) -> World:
    return World(app)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_hostile_fields(world: World, operation: Operation) -> None:
    schema = world.body_schema(operation.method, operation.path)
    if schema is None:
        return
    actor = await factories.superuser(world.app)
    await factories.superuser(world.app)
    url = await world.url(operation.path, actor)
    headers = {"Content-Type": "application/json"}
    good = await world.body(operation.method, operation.path, actor) or {}
    for name in [*schema["properties"], "\ud800", "x" * 10_000]:
        for value in VALUES:
            body = good | {name: value}
            response = await actor.http.request(operation.method, url, content=dumped(body), headers=headers)
            assert response.status_code < 500, f"{operation} {name}={value!r:.60}: {response.status_code}"
            assert len(response.content) < 200_000
            if response.status_code == 401:  # it changed its own password, or deleted itself: as another
                actor = await factories.superuser(world.app)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
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


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_hostile_paths_and_queries(world: World, operation: Operation) -> None:
    actor = await factories.superuser(world.app)
    document = world.operation(operation.method, operation.path)
    body = await world.body(operation.method, operation.path, actor)
    names = [part["name"] for part in document.get("parameters", []) if part["in"] == "query"]
    hostile = ["%00", "%ED%A0%80", "%FF", "-1", "0", str(2**31), str(2**63), "9" * 5000, "1e400", "NaN", "%F0%9F%90%8E",
               "'", "x" * 5000, "", "%", "..", "%2e%2e", "true", "1;2", "%0d%0aX: y"]  # fmt: skip
    for value in hostile:
        for name in [*names, "no_such_parameter"]:
            response = await actor.http.request(operation.method, f"{operation.path}?{name}={value}")
            assert response.status_code < 500, f"{operation} ?{name}={value[:40]}: {response.status_code}"
            if response.status_code == 401:
                actor = await factories.superuser(world.app)
        if "{" in operation.path:
            head = operation.path.partition("{")[0]
            response = await actor.http.request(operation.method, f"{head}{value}", json=body)
            assert response.status_code < 500, f"{operation} {value[:40]}: {response.status_code}"


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


@pytest.mark.parametrize("name", ["Authorization", "If-Match", "Idempotency-Key", "X-Request-ID", "Accept", "Origin"])
@pytest.mark.parametrize(
    "value", [b"", b"\xff\xfe", b"x" * 10_000, b'"', b"*", b",,,", b"Bearer \xff", b"Bearer " + b"." * 5000]
)
async def test_hostile_headers(world: World, name: str, value: bytes) -> None:
    owner = await factories.user(world.app)
    item = await factories.item(owner)
    for method, url in [("POST", "/api/v1/items"), ("PUT", f"/api/v1/items/{item['id']}")]:
        response = await owner.http.request(method, url, json={"title": "x"}, headers=factories.header(name, value))
        assert response.status_code < 500


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
