"""Rate limits over HTTP: they hold in a race, they tell what is left, and no signed-in route is without one."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from app.auth.dependencies import CurrentUser, user_id
from app.core.errors import Conflict
from app.core.policy import public
from app.core.rate_limit import RateLimit
from app.core.routing import Router
from app.main import create_app
from tests import factories
from tests.factories import Actor
from tests.rows import Operation, Rows, operations
from tests.waiting import until

ALL = list(operations(create_app(factories.settings())))
WRITTEN_BY_ANYBODY = [operation for operation in ALL if operation.policy == "public" and operation.method != "GET"]
SIGNED_IN = [operation for operation in ALL if operation.policy != "public"]


def limited(app: FastAPI, router: Router | None = None, **values: Any) -> FastAPI:
    """The application with limits, and counters of its own, on the same database."""
    other = create_app(app.state.settings.model_copy(update={"rate_limit_enabled": True} | values))
    factories.share(other, app)
    if router is not None:
        other.include_router(router)
    return other


def router_of(limit: RateLimit) -> Router:
    router = Router(prefix="/limited")

    @router.get("", dependencies=[Depends(limit)])
    @public
    async def report() -> str:
        return "here it is"

    @router.get("/other", dependencies=[Depends(limit)])
    @public
    async def fail() -> str:
        raise Conflict

    return router


async def test_a_limit_tells_what_is_left_and_then_until_when(app: FastAPI) -> None:
    client = factories.client(limited(app, router_of(RateLimit("2/hour"))))
    for left in (1, 0):
        answer = await client.get("/limited")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"report-per-hour";q=2;w=3600'
        assert answer.headers["RateLimit"].startswith(f'"report-per-hour";r={left};t=')
    refused = await client.get("/limited")
    assert (refused.status_code, refused.json()) == (429, {"detail": "Too many requests, try again later"})
    assert 3000 < int(refused.headers["Retry-After"]) <= 3601
    assert refused.headers["RateLimit"] == f'"report-per-hour";r=0;t={refused.headers["Retry-After"]}'


async def test_each_endpoint_is_counted_by_itself_and_errors_tell_too(app: FastAPI) -> None:
    client = factories.client(limited(app, router_of(RateLimit("1/hour"))))
    assert (await client.get("/limited")).status_code == 200
    failed = await client.get("/limited/other")
    assert (failed.status_code, failed.headers["RateLimit-Policy"]) == (409, '"fail-per-hour";q=1;w=3600')


async def test_of_several_limits_the_one_that_refuses_costs_the_others_nothing(app: FastAPI) -> None:
    client = factories.client(limited(app, router_of(RateLimit("2/minute,3/hour"))))
    for _ in range(2):
        answer = await client.get("/limited")
    assert answer.headers["RateLimit-Policy"] == '"report-per-minute";q=2;w=60, "report-per-hour";q=3;w=3600'
    assert '"report-per-minute";r=0;' in answer.headers["RateLimit"]
    assert '"report-per-hour";r=1;' in answer.headers["RateLimit"]
    for _ in range(5):
        refused = await client.get("/limited")
        assert refused.status_code == 429
        assert refused.headers["RateLimit-Policy"] == '"report-per-minute";q=2;w=60'
        assert int(refused.headers["Retry-After"]) <= 61


async def test_of_racing_requests_the_limit_gets_through(app: FastAPI) -> None:
    extended = limited(app, router_of(RateLimit("7/hour")))
    clients = [factories.client(extended) for _ in range(60)]
    answers = await asyncio.gather(*(client.get("/limited") for client in clients))
    assert Counter(answer.status_code for answer in answers) == {200: 7, 429: 53}


async def test_addresses_are_counted_apart_and_an_ipv6_network_together(app: FastAPI) -> None:
    extended = limited(app, router_of(RateLimit("1/hour")))
    for address, status in {
        "203.0.113.1": 200,
        "203.0.113.2": 200,
        "2001:db8::1": 200,
        "2001:db8::ffff:ffff": 429,
        "2001:db8:0:1::1": 200,
        "::ffff:203.0.113.1": 429,
    }.items():
        assert (await factories.client(extended, address=address).get("/limited")).status_code == status, address


async def test_what_a_client_says_of_its_address_changes_nothing(app: FastAPI) -> None:
    client = factories.client(limited(app, router_of(RateLimit("1/hour"))))
    await client.get("/limited")
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"):
        assert (await client.get("/limited", headers={name: "203.0.113.9"})).status_code == 429


async def test_a_window_that_is_over_lets_in_again(app: FastAPI) -> None:
    client = factories.client(limited(app, router_of(RateLimit("1/second"))))

    async def status_is(status: int) -> bool:
        return (await client.get("/limited")).status_code == status

    await until(lambda: status_is(429))
    await until(lambda: status_is(200))


async def test_a_user_is_one_from_whatever_address(app: FastAPI, user: Actor, other: Actor) -> None:
    router = Router()

    @router.post("/reports", dependencies=[Depends(RateLimit("1/hour", by=user_id))])
    async def make_report(_: CurrentUser) -> None:
        """Make a report."""

    extended = limited(app, router)
    statuses = [
        (await factories.client(extended, actor.token, address=address).post("/reports")).status_code
        for actor, address in [(user, "203.0.113.1"), (user, "203.0.113.2"), (other, "203.0.113.1")]
    ]
    assert statuses == [200, 429, 200]
    assert (await factories.client(extended).post("/reports")).status_code == 401


async def test_a_user_has_one_limit_for_all_routes(app: FastAPI, user: Actor, other: Actor) -> None:
    extended = limited(app, rate_limit_user="3/hour")
    mine = factories.client(extended, user.token)
    for path, left in {"items": 2, "auth/me": 1, "items/1234": 0}.items():
        answer = await mine.get(f"/api/v1/{path}")
        assert answer.headers["RateLimit-Policy"] == '"user-per-hour";q=3;w=3600'
        assert answer.headers["RateLimit"].startswith(f'"user-per-hour";r={left};')
    assert (await mine.get("/api/v1/items")).status_code == 429
    assert (await factories.client(extended, other.token).get("/api/v1/items")).status_code == 200
    assert (await factories.client(extended, "no token").get("/api/v1/items")).status_code == 401


async def test_of_a_users_racing_requests_the_limit_gets_through(app: FastAPI, user: Actor) -> None:
    extended = limited(app, rate_limit_user="11/hour")
    mine = [factories.client(extended, user.token) for _ in range(60)]
    answers = await asyncio.gather(*(client.post("/api/v1/items", json={"title": "x"}) for client in mine))
    assert Counter(answer.status_code for answer in answers) == {201: 11, 429: 49}


@pytest.mark.parametrize("operation", SIGNED_IN, ids=str)
async def test_every_signed_in_route_has_the_users_limit(app: FastAPI, operation: Operation, user: Actor) -> None:
    extended = limited(app, rate_limit_user="1/hour")
    await factories.client(extended, user.token).get("/api/v1/auth/me")
    url = await Rows(app).url(operation.path, user)
    answer = await factories.client(extended, user.token).request(operation.method, url)
    assert answer.status_code == 429, f"{operation} answers {answer.status_code}"


@pytest.mark.parametrize("operation", WRITTEN_BY_ANYBODY, ids=str)
async def test_what_anybody_may_send_is_limited_by_address(app: FastAPI, operation: Operation) -> None:
    client = factories.client(limited(app, rate_limit_auth="1/hour"))
    statuses = [(await client.request(operation.method, operation.path, json={})).status_code for _ in range(2)]
    assert statuses[0] != 429
    assert statuses[1] == 429, f"{operation} has no RateLimit"


@pytest.mark.parametrize("operation", [*SIGNED_IN, *WRITTEN_BY_ANYBODY], ids=str)
def test_the_document_tells_of_limits(operation: Operation) -> None:
    assert 429 in operation.route.responses


async def test_limits_can_be_turned_off(app: FastAPI, user: Actor) -> None:
    off = limited(app, router_of(RateLimit("1/hour")), rate_limit_enabled=False, rate_limit_user="1/hour")
    for _ in range(3):
        assert (await factories.client(off).get("/limited")).status_code == 200
        answer = await factories.client(off, user.token).get("/api/v1/items")
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers


async def test_a_website_may_read_what_is_left(app: FastAPI) -> None:
    client = factories.client(limited(app, allowed_origins=["https://app.example.com"]))
    answer = await client.get("/health/live", headers={"Origin": "https://app.example.com"})
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)
