"""Pools: what an instance opens fits into its server, and a restart of the server fails no request; real servers."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest
from fastapi import FastAPI
from sqlalchemy import literal_column, select, text
from sqlalchemy.pool import QueuePool

from app.auth.hashing import PasswordHasher
from app.cli.checks import Check, connections
from app.core.database import Database
from app.core.db.migrations import upgrade
from app.main import create_app
from deploy.cluster.servers import MariaDB, PostgreSQL, running
from tests import factories, processes
from tests.waiting import until

CONNECTIONS = 12
POOL = 2


class SmallPostgreSQL(PostgreSQL):
    def options(self) -> dict[str, str]:
        few = {"max_connections": str(CONNECTIONS), "superuser_reserved_connections": "1", "max_wal_senders": "0"}
        return super().options() | few


class SmallMariaDB(MariaDB):
    def options(self) -> dict[str, str]:
        return super().options() | {"max-connections": str(CONNECTIONS - 1)}


Small = SmallPostgreSQL | SmallMariaDB


@pytest.fixture(scope="module", params=[SmallPostgreSQL, SmallMariaDB])
def small(request: pytest.FixtureRequest) -> Generator[Small]:
    """A server that allows eleven connections, migrated."""
    if not request.param.find():
        pytest.skip(f"{request.param.program} is not installed")
    with running(request.param) as server:
        upgrade(factories.settings(database_url=server.url))
        yield server


def test_the_doctor_says_whether_the_pools_fit(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(**variables: str) -> Check:
        for name, value in processes.safe(small.url, **variables).items():
            monkeypatch.setenv(name, value)
        return connections.check()

    (finding,) = look(WEB_CONCURRENCY="2").findings
    assert finding.message == "DB_POOL_SIZE: 2 x 2 pools of 8 open 32 connections, and the server allows 11"
    assert finding.mend.startswith("in .env or the environment, DB_POOL_SIZE=2; or raise")
    assert look(WEB_CONCURRENCY="2", DB_POOL_SIZE="2") == Check("8 of 11: 1 such instance fits")
    (finding,) = look(WEB_CONCURRENCY="6", DB_POOL_SIZE="1").findings
    assert finding.mend.startswith("in .env or the environment, DB_POOL_SIZE=1 and WEB_CONCURRENCY=5; or raise")


@pytest.fixture
async def app(small: Small) -> AsyncGenerator[FastAPI]:
    """Without what runs beside the requests: it might find out first that the server was away."""
    app = create_app(factories.settings(database_url=small.url, db_pool_size=POOL))
    app.state.hasher = PasswordHasher(rounds=4)
    yield app
    app.state.hasher.close()
    await factories.close(app)


async def test_after_a_restart_of_the_database_the_first_requests_succeed(small: Small, app: FastAPI) -> None:
    """Each connection of both pools is one of the killed server's; none is handed out."""
    user = await factories.user(app)
    url = f"/api/v1/items/{(await factories.item(user))['id']}"
    await warm(app.state.database)
    await asyncio.gather(*(user.http.get(url) for _ in range(2 * POOL)))
    await asyncio.to_thread(small.kill)
    await asyncio.to_thread(small.start)
    for _ in range(POOL + 1):
        read, written = await asyncio.gather(user.http.get(url), user.http.put(url, json={"title": "after"}))
        assert (read.status_code, written.status_code) == (200, 200)


async def warm(database: Database) -> None:
    """As many connections as the pools may have, all given back."""
    for engine in (database.engine, database.read_engine):
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        async with AsyncExitStack() as stack:
            for _ in range(pool.size()):
                connection = await stack.enter_async_context(engine.connect())
                assert await connection.scalar(text("SELECT 1")) == 1


RUNNING_READS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(%' AND id <> CONNECTION_ID()",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
SLEEP = {"postgresql": "pg_sleep(1)", "mysql": "SLEEP(1)"}


async def test_a_read_that_loses_its_connection_is_asked_again(app: FastAPI) -> None:
    """In the middle, when its driver could not know."""
    database: Database = app.state.database
    backend = database.engine.url.get_backend_name()

    async def kill_the_first() -> None:
        async with database.engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            found = await until(lambda: autocommit.scalar(text(RUNNING_READS[backend])))
            await autocommit.execute(text(KILL[backend].format(found)))

    statement = select(literal_column("7").label("seven"), literal_column(SLEEP[backend]).label("slept"))
    row, _ = await asyncio.gather(database.read.one(statement), kill_the_first())
    assert row is not None
    assert row.seven == 7
