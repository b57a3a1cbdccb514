"""/metrics: what an operator needs to see, and nothing that a stranger could learn from."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.engine import make_url

from app.auth.dependencies import CurrentUser
from app.core.cache import AppCache
from app.core.database import utcnow
from app.core.jobs.outbox import RUNNING, SENT, OutboxJob
from app.core.routing import Router
from app.health import backlog
from deploy.cluster.ports import free_port
from tests import factories

router = Router()


@router.get("/remembered")
async def remembered(user: CurrentUser, cache: AppCache) -> int:
    async def load() -> int:
        return 1

    return await cache.get_or_load(user, "numbers", "one", 60, load)


Build = Callable[..., FastAPI]


@pytest.fixture
async def configured(app: FastAPI) -> AsyncGenerator[Build]:
    """Builds the application with figures of its own, and with other settings."""
    async with factories.building(app, router) as build:
        yield build


async def figures(client: AsyncClient) -> dict[str, float]:
    """Each figure by its name and labels, as Prometheus reads them."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_refusals_are_counted_by_limit_and_failures_by_step(configured: Build) -> None:
    app = configured(rate_limit_enabled=True, login_limit_account="2/minute", rate_limit_user="1/minute")
    user = await factories.user(app)
    before = await figures(factories.client(app))
    assert before['login_failures_total{step="password"}'] == 0
    wrong = {"email": user.email, "password": "a wrong one"}
    unknown = {"email": "nobody@example.com", "password": "a wrong one"}
    answers = [await factories.client(app).post("/api/v1/auth/login", json=body) for body in [unknown, *[wrong] * 4]]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert [(await user.http.get("/api/v1/items")).status_code for _ in range(2)] == [200, 429]
    found = await figures(factories.client(app))
    assert found['login_failures_total{step="password"}'] == 3  # whether there is such an account or not
    assert found['rate_limit_refusals_total{limit="login-account"}'] == 2
    assert found['rate_limit_refusals_total{limit="user"}'] == 1
    text = (await factories.client(app).get("/metrics")).text
    assert user.email not in text
    assert "nobody@" not in text


async def test_what_the_cache_remembers_is_counted(configured: Build) -> None:
    app = configured()
    user = await factories.user(app)
    for _ in range(3):
        assert (await user.http.get("/remembered")).json() == 1
    found = await figures(user.http)
    assert found['cache_lookups_total{result="miss"}'] == 1
    assert found['cache_lookups_total{result="hit"}'] == 2


async def test_connections_in_use_are_told_with_how_many_there_may_be(configured: Build) -> None:
    app = configured()
    async with app.state.database.engine.connect():
        found = await figures(factories.client(app))
    assert found['db_pool_connections_in_use{pool="transactions"}'] == 1
    assert found['db_pool_connections_in_use{pool="reads"}'] == 0
    assert found['db_pool_connections_max{pool="transactions"}'] == app.state.database.engine.pool.size()


async def test_jobs_are_told_by_state_and_by_the_age_of_what_nobody_has_begun(configured: Build) -> None:
    app = configured()
    assert (await figures(factories.client(app)))["outbox_oldest_waiting_seconds"] == 0
    async with app.state.database.sessions.begin() as db:
        for state, attempts, minutes in ((SENT, 0, 5), (SENT, 0, 2), (RUNNING, 1, 60)):
            begun = utcnow() - timedelta(minutes=minutes)
            db.add(OutboxJob(task="tests.none", arguments={}, state=state, attempts=attempts, created_at=begun))
    await factories.dead_job(app)
    fresh = configured()  # figures of the outbox are kept for a moment
    found = await figures(factories.client(fresh))
    states = {re.findall('"(.*)"', name)[0]: value for name, value in found.items() if name.startswith("outbox_jobs")}
    assert states["sent"] == 2
    assert states["running"] == 1
    assert states["dead"] == 1
    assert "done" not in states
    assert found["outbox_oldest_waiting_seconds"] == pytest.approx(300, abs=30)
    assert found["database_up"] == 1


async def test_a_database_that_is_away_is_a_figure_and_no_error(configured: Build, backend: str) -> None:
    if backend == "sqlite":
        address = "sqlite:////no/such/folder/app.db"
    else:
        url = make_url(configured().state.settings.database_url).set(port=free_port())
        address = url.render_as_string(hide_password=False)
    found = await figures(factories.client(configured(database_url=address)))
    assert found["database_up"] == 0
    assert not any(name.startswith("outbox") for name in found)  # 0 would say that nothing waits


async def test_a_pool_that_is_taken_hangs_no_scrape(configured: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "TIMEOUT_S", 0.1)
    app = configured(db_pool_size=1)
    async with app.state.database.read_engine.connect(), asyncio.timeout(5):  # less than the pool would wait
        found = await figures(factories.client(app))
    assert found["database_up"] == 0
    assert found['db_pool_connections_in_use{pool="reads"}'] == 1
