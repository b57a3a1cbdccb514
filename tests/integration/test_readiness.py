"""/health/ready says what is away, and whether requests can be sent here all the same."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from anyio import to_thread
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text

from app.core.db.migrations import upgrade
from app.health import readiness
from app.main import create_app
from deploy.cluster.ports import free_port
from deploy.cluster.servers import Redis, running
from tests import factories
from tests.waiting import until


@asynccontextmanager
async def serving(address: str, **values: Any) -> AsyncGenerator[tuple[FastAPI, AsyncClient]]:
    app = create_app(factories.settings(database_url=address, **values))
    try:
        async with factories.client(app) as client:
            yield app, client
    finally:
        await factories.close(app)


@pytest.fixture(scope="module")
def redis() -> Generator[Redis]:
    with running(Redis) as server:
        yield server


async def states(client: AsyncClient) -> tuple[int, str, dict[str, str]]:
    answer = await client.get("/health/ready")
    found = answer.json()
    return answer.status_code, found["status"], {name: check["state"] for name, check in found["checks"].items()}


async def becomes(client: AsyncClient, expected: tuple[int, str, dict[str, str]]) -> bool:
    return await states(client) == expected


@pytest.mark.slow
@pytest.mark.skipif(not Redis.find(), reason="redis-server is not installed")
async def test_without_redis_or_the_broker_it_serves_on(empty_database: str, redis: Redis) -> None:
    await to_thread.run_sync(upgrade, factories.settings(database_url=empty_database))
    nobody = f"amqp://guest:top-secret@127.0.0.1:{free_port()}"
    database = {"database": "ok", "migrations": "ok"}
    async with serving(empty_database, redis_url=redis.url, celery_broker_url=redis.url) as (_, client):
        assert await states(client) == (200, "ok", database | {"redis": "ok", "broker": "ok"})
        await to_thread.run_sync(redis.kill)
        away = (200, "degraded", database | {"redis": "away", "broker": "away"})
        await until(partial(becomes, client, away))
        await to_thread.run_sync(redis.start)
        await until(partial(becomes, client, (200, "ok", database | {"redis": "ok", "broker": "ok"})))
    async with serving(empty_database, celery_broker_url=nobody) as (_, client):
        assert await states(client) == (200, "degraded", database | {"broker": "away"})
        told = (await client.get("/health/ready")).text
        assert "127.0.0.1" not in told
        assert "top-secret" not in told


async def test_before_its_migrations_and_without_its_database_it_does_not_serve(empty_database: str) -> None:
    async with serving(empty_database) as (app, client):
        assert await states(client) == (503, "unavailable", {"database": "ok", "migrations": "behind"})
        await to_thread.run_sync(upgrade, app.state.settings)
        await until(partial(becomes, client, (200, "ok", {"database": "ok", "migrations": "ok"})))
    nowhere = f"postgresql://nobody:top-secret@127.0.0.1:{free_port()}/none"
    async with serving(nowhere) as (_, client):
        assert await states(client) == (503, "unavailable", {"database": "away", "migrations": "unknown"})
        assert "top-secret" not in (await client.get("/health/ready")).text


async def test_what_goes_away_is_in_the_log_once_and_when_it_is_back(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(readiness, "CACHE_S", 0)
    await to_thread.run_sync(upgrade, factories.settings(database_url=empty_database))

    async def gone(_: str) -> bool:
        raise ConnectionRefusedError("nobody is there")

    async def there(_: str) -> bool:
        return True

    async with serving(empty_database, celery_broker_url="amqp://guest:top-secret@127.0.0.1:1") as (_, client):
        caplog.clear()
        for answers in (gone, gone, there, there, gone):
            monkeypatch.setattr(readiness, "answers", answers)
            await client.get("/health/ready")
    said = [record for record in caplog.records if record.name == "app.readiness"]
    assert [record.getMessage() for record in said] == ["broker is away", "broker is back", "broker is away"]
    assert "nobody is there" in vars(said[0])["error"]


async def test_the_first_page_says_no_more_than_it_knows(empty_database: str) -> None:
    nowhere = f"postgresql://nobody:top-secret@127.0.0.1:{free_port()}/none"
    async with serving(nowhere, environment="development") as (_, client):
        page = (await client.get("/")).text
    assert "away: the log of the server says why" in page
    assert "unknown<" in page
    assert "unknown:" not in page


async def test_whoever_has_every_connection_in_use_is_busy_and_not_away(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "TIMEOUT_S", 0.2)
    async with serving(empty_database, db_pool_size=1) as (app, client):
        async with app.state.database.read_engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            assert await states(client) == (200, "degraded", {"database": "busy", "migrations": "unknown"})


async def test_however_many_ask_one_look_is_taken(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CACHE_S", 60)
    async with serving(empty_database) as (_, client):
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(50)))
        assert len({answer.text for answer in [*answers, await client.get("/health/ready")]}) == 1  # its times, too
