"""What every request and answer has in common; promises 2, 5 and 33, and the form of errors."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from httpx2 import AsyncClient

from app.core.policy import public
from app.core.routing import Router
from app.main import create_app
from tests import factories
from tests.factories import Actor, configured

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


async def test_every_answer_has_the_security_headers(app: FastAPI, user: Actor, client: AsyncClient) -> None:
    broken = create_app(app.state.settings)
    router = Router()

    @router.get("/broken")
    @public
    async def fail() -> None:
        raise LookupError

    broken.include_router(router)
    answers = [
        await user.http.get("/api/v1/items"),
        await client.get("/api/v1/items"),
        await client.get("/health/live"),
        await client.get("/nowhere"),
        await client.put("/health/live"),
        await client.post("/api/v1/auth/login", content=b"x" * 1_048_577),
        await factories.client(broken).get("/broken"),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 200, 404, 405, 413, 500]
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert "X-Request-ID" in answer.headers
        assert "Strict-Transport-Security" not in answer.headers
    for answer in answers[1:]:
        assert answer.status_code == 200 or list(answer.json()) == ["detail"]
    assert answers[-1].json() == {"detail": "Internal Server Error"}
    assert answers[4].headers["Allow"] == "GET"


async def test_production_wants_https(app: FastAPI) -> None:
    answer = await factories.client(configured(app, environment="production")).get("/health/live")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize("sent", ["abc-DEF-123", "a" * 64])
async def test_a_safe_request_id_is_kept(client: AsyncClient, sent: str) -> None:
    assert (await client.get("/health/live", headers={"X-Request-ID": sent})).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "a" * 65, "a b", "a\tb", "<script>", "a;b", "a_b", "ü".encode(), b"a\xff"])
async def test_an_unsafe_request_id_is_replaced(client: AsyncClient, sent: str | bytes) -> None:
    answer = await client.get("/health/live", headers=factories.header("X-Request-ID", sent))
    assert answer.headers["X-Request-ID"] != sent
    assert re.fullmatch(r"[A-Za-z0-9-]{1,64}", answer.headers["X-Request-ID"])


async def test_an_unknown_host_is_refused(app: FastAPI) -> None:
    client = factories.client(configured(app, allowed_hosts=["api.example.com", "*.example.org"]))
    for host, status in {
        "api.example.com": 401,
        "API.example.com:8000": 401,
        "a.example.org": 401,
        "example.org": 400,
        "evil.example.com": 400,
        "evilexample.org": 400,
        "api.example.com.evil.net": 400,
        "api.example.com:80:80": 400,
        "": 400,
    }.items():
        answer = await client.get("/api/v1/items", headers={"Host": host})
        assert answer.status_code == status, host
        assert (answer.json() == {"detail": "Unknown host"}) is (status == 400)


async def test_who_asks_by_address_hears_how_it_is_and_nothing_else(app: FastAPI) -> None:
    """Prometheus, balancers and probes, of which some cannot name a host."""
    address = {"Host": "10.0.0.7:8000"}
    async with factories.building(app, Router()) as build:
        client = factories.client(build(allowed_hosts=["api.example.com"]))
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path, headers=address)).status_code == 200
            for other in (f"{path}/", f"/{path}", f"{path}/x"):
                assert (await client.get(other, headers=address)).status_code == 400


async def test_only_allowed_origins_may_call(app: FastAPI, client: AsyncClient) -> None:
    allowed = factories.client(configured(app, allowed_origins=["https://app.example.com"]))
    ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,if-match"}
    for origin, is_allowed in {"https://app.example.com": True, "https://evil.example.com": False}.items():
        preflight = await allowed.options("/api/v1/items/1", headers={"Origin": origin} | ask)
        answer = await allowed.get("/health/live", headers={"Origin": origin})
        assert (preflight.status_code == 200) is is_allowed
        for response in (preflight, answer):
            granted = response.headers.get("Access-Control-Allow-Origin")
            assert granted == (origin if is_allowed else None)
        if is_allowed:
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    closed = await client.get("/health/live", headers={"Origin": "https://app.example.com"})
    assert "Access-Control-Allow-Origin" not in closed.headers


async def test_a_body_may_have_a_mebibyte_and_no_byte_more(user: Actor) -> None:
    frame = len('{"title":"x","description":""}')
    for size, status in [(1_048_576, 201), (1_048_577, 413)]:
        body = b'{"title":"x","description":"' + b"x" * (size - frame) + b'"}'
        headers = {"Content-Type": "application/json"}
        assert (await user.http.post("/api/v1/items", content=body, headers=headers)).status_code == status

        chunked = await user.http.post("/api/v1/items", content=_chunks(body), headers=headers)
        assert chunked.status_code == status
        assert status == 201 or chunked.json() == {"detail": "Content Too Large"}


async def test_a_routes_own_max_body_size_wins(app: FastAPI) -> None:
    router, small = Router(prefix="/bodies"), Router(prefix="/small")
    ran: list[str] = []

    @router.post("/large", max_body_size=4_000_000)
    @router.post("/tiny", max_body_size=1024)
    @router.post("/default")
    @small.post("/default")
    @public
    async def count(request: Request) -> int:
        return len(await request.body())

    @router.post("/unread", max_body_size=1024)
    @public
    async def unread() -> None:
        ran.append("unread")

    limits = [("large", 3_000_000, 4_000_001), ("tiny", 1024, 2048), ("default", 1_048_576, 1_048_577)]
    limits += [("small/default", 1024, 2048)]
    async with factories.building(app, router) as build:
        built = build()
        built.include_router(small, prefix="/bodies", max_body_size=1024)
        client = factories.client(built)
        for path, accepted, refused in limits:
            for size, status in [(accepted, 200), (refused, 413)]:
                for content in (bytes(size), _chunks(bytes(size))):
                    answer = await client.post(f"/bodies/{path}", content=content)
                    assert answer.status_code == status, (path, size, type(content))
                    assert answer.json() == (size if status == 200 else {"detail": "Content Too Large"})
                    assert "X-Request-ID" in answer.headers
        assert (await client.post("/bodies/unread", content=bytes(2048))).status_code == 413
        assert (await client.post("/nowhere", content=bytes(2_000_000))).json() == {"detail": "Content Too Large"}
        assert not ran
        small_default = build(max_body_bytes=2048)
        assert (await factories.client(small_default).post("/bodies/default", content=bytes(2049))).status_code == 413


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


async def test_a_lying_content_length_is_refused(client: AsyncClient) -> None:
    for length in ("-1", "1e3", "9" * 5000):
        answer = await client.post("/api/v1/auth/login", content=b"{}", headers={"Content-Length": length})
        assert answer.status_code == 413


async def test_the_docs_page_needs_nothing_from_elsewhere(client: AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self' 'sha256-" in policy
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        asset = await client.get(path)
        assert asset.status_code == 200
        assert len(asset.content) > 100
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Groundwork"
    assert (await client.get("/static/swagger/__init__.py")).status_code == 404


async def test_docs_and_metrics_can_be_closed(app: FastAPI) -> None:
    closed = factories.client(configured(app, docs_enabled=False, metrics_enabled=False))
    for path in ("/docs", "/openapi.json", "/metrics", "/redoc"):
        assert (await closed.get(path)).status_code == 404


async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}
    ready = (await client.get("/health/ready")).json()
    assert ready["status"] == "ok"
    assert {name: check["state"] for name, check in ready["checks"].items()} == {"database": "ok", "migrations": "ok"}
    assert all(check["ms"] > 0 for check in ready["checks"].values())


async def test_metrics_count_by_route_template(client: AsyncClient, user: Actor) -> None:
    item = await factories.item(user)
    await user.http.get(f"/api/v1/items/{item['id']}")
    await client.get("/no/such/path")
    await client.request("BREW", "/coffee")
    text = (await client.get("/metrics")).text
    assert 'http_request_duration_seconds_count{method="GET",route="/api/v1/items/{item_id}",status="200"}' in text
    assert 'method="GET",route="(none)",status="404"' in text
    assert 'method="OTHER"' in text
    assert "/no/such/path" not in text


@pytest.mark.parametrize(
    "path", ["/metrics", "/health/live", "/docs", "/api/v1/items", "/api/v1/items/1", "/admin/login"]
)
async def test_a_path_is_one_without_a_newline_at_its_end(app: FastAPI, user: Actor, path: str) -> None:
    """What a proxy closes by its path is closed."""
    await factories.item(user)
    for _ in range(2):
        answer = await user.http.get(f"{path}%0A")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
