"""Through PgBouncer in transaction mode: many requests of two servers share two connections, and none fails."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import literal_column, select, text
from sqlalchemy.exc import DBAPIError

from app.core.database import Database
from app.core.db.migrations import current, heads
from deploy.cluster.pgbouncer import PgBouncer
from deploy.cluster.servers import PostgreSQL, running
from tests import factories, processes

pytestmark = [
    pytest.mark.skipif(not PgBouncer.find() or not PostgreSQL.find(), reason="PgBouncer is not installed"),
]

API = "/api/v1"
SIZE = 2
CLIENTS = 5


@pytest.fixture(scope="module")
def pooled() -> Generator[PgBouncer]:
    with running(PostgreSQL) as server, running(partial(PgBouncer, postgresql=server, size=SIZE)) as pool:
        yield pool


@pytest.fixture
async def database(pooled: PgBouncer) -> AsyncGenerator[Database]:
    database = Database(factories.settings(database_url=pooled.url, db_statement_timeout_seconds=7))
    yield database
    await database.close()


async def test_migrations_run_once_and_many_requests_share_two_connections(
    pooled: PgBouncer, database: Database, tmp_path: Path
) -> None:
    env = processes.safe(pooled.url, DB_POOL_SIZE="10")
    codes = await asyncio.to_thread(processes.at_once, 4, "migrate", folder=tmp_path, env=env)
    assert codes == [0] * 4
    assert await current(database) == heads()
    with processes.server(tmp_path, env) as first, processes.server(tmp_path, env) as second:
        done = await asyncio.gather(*(live(server.url) for server in (first, second) for _ in range(CLIENTS)))
    assert done == [True] * 2 * CLIENTS
    assert await database.read.count(select(text("1")).select_from(text("users"))) == 2 * CLIENTS
    connected = text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    async with database.engine.connect() as connection:
        assert await connection.scalar(connected) == SIZE


async def live(url: str) -> bool:
    """What a user does, with reads at once; whatever is not as it should be is raised."""
    async with httpx2.AsyncClient(base_url=f"{url}{API}", timeout=60) as http:
        body = {"email": factories.email(), "password": factories.PASSWORD}
        (await http.post("/auth/register", json=body)).raise_for_status()
        http.headers["Authorization"] = f"Bearer {(await http.post('/auth/login', json=body)).json()['access_token']}"
        made = await asyncio.gather(*(http.post("/items", json={"title": f"{n}"}) for n in range(3)))
        urls = [f"/items/{answer.json()['id']}" for answer in made]
        read = await asyncio.gather(*map(http.get, urls), http.get("/items?count=true"), http.get("/auth/me"))
        assert [answer.json()["title"] for answer in read[:3]] == ["0", "1", "2"]
        assert (read[3].headers["X-Total-Count"], read[4].json()["email"]) == ("3", body["email"])
        changed = await asyncio.gather(*(http.put(url, json={"title": "changed"}) for url in urls))
        gone = await asyncio.gather(*map(http.delete, urls))
        answers = [*made, *read, *changed, *gone]
        assert {answer.status_code for answer in answers} == {200, 201, 204}
    return True


async def test_a_read_session_cannot_write_there(database: Database) -> None:
    statement: Any = text("CREATE TABLE written (id integer)")
    with pytest.raises(DBAPIError, match="read-only transaction"):
        await database.read.all(statement)


async def test_each_transaction_has_its_limits_and_utc(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
    shown = select(*(literal_column(f"current_setting('{name}')").label(name) for name in names))
    expected = ("7s", "2333ms", "5min", "UTC")
    row = await database.read.one(shown)
    assert row is not None
    assert tuple(vars(row).values()) == expected
    async with database.sessions() as db:
        assert tuple((await db.execute(shown)).one()) == expected
