"""Nobody reads older than their own write, whatever a replica or Redis does; promise 31, with real servers.

Two applications stand for two processes: they share nothing but the servers.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from redis import Redis as Client
from sqlalchemy import literal_column, select, text

from app.auth.dependencies import CurrentUser
from app.core.database import ReadSession
from app.core.db.migrations import upgrade
from app.core.routing import Router
from app.main import create_app
from deploy.cluster.processes import descendants
from deploy.cluster.server import Server
from deploy.cluster.servers import MariaDB, MariaDBReplica, PostgreSQL, PostgreSQLReplica, Redis, running
from tests import factories
from tests.factories import Actor
from tests.waiting import TIMEOUT_S, until

pytestmark = [
    pytest.mark.skipif(not (PostgreSQL.find() and Redis.find()), reason="PostgreSQL and Redis are not installed"),
]

ITEMS = "/api/v1/items"
LONG_S, SHORT_S = 60, 1  # how far a replica may be behind: longer than a test takes, and not for long


@dataclass
class Servers:
    primary: PostgreSQL | MariaDB
    replica: PostgreSQLReplica | MariaDBReplica
    redis: Redis

    @property
    def port(self) -> str:
        """What SQL asks a server for its port."""
        return "inet_server_port()" if isinstance(self.primary, PostgreSQL) else "@@port"

    def pause(self) -> None:
        """The replica shows nothing new from now on."""
        if isinstance(self.replica, MariaDBReplica):
            self.replica.sql("STOP SLAVE SQL_THREAD")
        else:
            self._psql("SELECT pg_wal_replay_pause()")
            while self._psql("SELECT pg_get_wal_replay_pause_state()") != "paused":
                pass

    def resume(self) -> None:
        if isinstance(self.replica, MariaDBReplica):
            self.replica.sql("START SLAVE SQL_THREAD")
        else:
            self._psql("SELECT pg_wal_replay_resume()")

    def _psql(self, statement: str) -> str:
        assert isinstance(self.replica, PostgreSQLReplica)
        where = ["-h", "127.0.0.1", "-p", str(self.replica.port), "-U", "postgres"]
        return self.replica.run(self.replica.tool("psql"), *where, "-Atc", statement).strip()


KINDS = {"postgresql": (PostgreSQL, PostgreSQLReplica), "mysql": (MariaDB, MariaDBReplica)}


@pytest.fixture(params=[name for name, kinds in KINDS.items() if kinds[0].find()])
def both(request: pytest.FixtureRequest) -> Servers:
    return request.getfixturevalue("servers" if request.param == "postgresql" else "mariadb")


@pytest.fixture(scope="module")
def servers() -> Generator[Servers]:
    yield from started("postgresql")


@pytest.fixture(scope="module")
def mariadb() -> Generator[Servers]:
    yield from started("mysql")


def started(backend: str) -> Generator[Servers]:
    kind, replica_kind = KINDS[backend]
    with (
        running(kind) as primary,
        running(partial(replica_kind, primary=primary)) as replica,
        running(Redis) as redis,
    ):
        upgrade(factories.settings(database_url=primary.url))
        settle(redis)
        yield Servers(primary, replica, redis)


def settle(redis: Redis) -> None:
    """It has run for long: nobody has to wait until what a restart may have lost is of no more use."""
    with Client.from_url(redis.url) as client:
        client.set("Groundwork:own-writes:epoch", 1)
        client.delete("Groundwork:own-writes:young")


@asynccontextmanager
async def process(servers: Servers, max_lag_s: int, **values: Any) -> AsyncGenerator[FastAPI]:
    """An application that reads from the replica as soon as it knows how Redis and the replica are."""
    router = Router()

    @router.get("/where")
    async def where(_: CurrentUser, read: ReadSession) -> int:
        row = await read.one(select(literal_column(servers.port).label("port")))
        assert row is not None
        return row.port

    usual = {
        "database_url": servers.primary.url,
        "database_replica_urls": [servers.replica.url],
        "replica_max_lag_seconds": max_lag_s,
        "redis_url": servers.redis.url,
    }
    app = create_app(factories.settings(**usual | values))
    app.include_router(router)
    async with app.router.lifespan_context(app):
        yield app


async def where(app: FastAPI, actor: Actor) -> int:
    """The port of the server that a read of the user's goes to."""
    answer = await factories.client(app, actor.token).get("/where")
    assert answer.status_code == 200
    return answer.json()


def reads_go_to(port: int, app: FastAPI, actor: Actor) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await where(app, actor) == port

    return look


async def titles(app: FastAPI, actor: Actor) -> list[str]:
    answer = await factories.client(app, actor.token).get(ITEMS)
    assert answer.status_code == 200
    return [item["title"] for item in answer.json()]


@contextmanager
def paused(servers: Servers) -> Generator[None]:
    servers.pause()
    try:
        yield
    finally:
        servers.resume()


async def test_own_writes_are_seen_in_every_process_and_others_read_the_replica(both: Servers) -> None:
    async with process(both, LONG_S) as one, process(both, LONG_S) as two:
        writer, reader, superuser = [
            await factories.user(one),
            await factories.user(one),
            await factories.superuser(one),
        ]
        await until(reads_go_to(both.replica.port, two, reader))
        with paused(both):
            await factories.item(writer, title="new")
            assert await titles(two, writer) == ["new"]
            assert await where(two, writer) == both.primary.port
            assert await where(two, reader) == both.replica.port
            assert await titles(two, superuser) == []  # what the replica shows
        await until(reads_go_to(both.replica.port, two, writer))
        assert await titles(two, writer) == ["new"]


async def test_who_is_signed_in_is_read_on_the_primary(servers: Servers) -> None:
    async with process(servers, LONG_S) as one, process(servers, LONG_S) as two:
        leaving, reader = await factories.user(one), await factories.user(one)
        await until(reads_go_to(servers.replica.port, two, reader))
        with paused(servers):
            assert (await leaving.http.post("/api/v1/auth/logout")).status_code == 204
            await until(partial(is_out, two, leaving))  # a process may remember for a second who is signed in
            assert await where(two, reader) == servers.replica.port


async def is_out(app: FastAPI, actor: Actor) -> bool:
    return (await factories.client(app, actor.token).get(ITEMS)).status_code == 401


async def test_a_replica_that_is_behind_leaves_and_comes_back(both: Servers) -> None:
    async with process(both, SHORT_S) as app:
        writer, reader = await factories.user(app), await factories.user(app)
        await until(reads_go_to(both.replica.port, app, reader))
        with paused(both):
            await factories.item(writer)
            await until(reads_go_to(both.primary.port, app, reader))
        await until(reads_go_to(both.replica.port, app, reader))


async def test_a_replica_that_is_killed_fails_no_read_and_comes_back(both: Servers) -> None:
    async with process(both, LONG_S) as app:
        reader = await factories.user(app)
        await until(reads_go_to(both.replica.port, app, reader))
        is_over = asyncio.Event()

        async def read_on() -> int:
            count = 0
            while not is_over.is_set():
                assert await titles(app, reader) == []
                count += 1
            return count

        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(read_on()) for _ in range(8)]
            await until(reads_go_to(both.replica.port, app, reader))
            await asyncio.to_thread(both.replica.kill)
            assert await where(app, reader) == both.primary.port
            await asyncio.to_thread(both.replica.start)
            await until(reads_go_to(both.replica.port, app, reader))
            is_over.set()
        assert all(task.result() for task in reading)


async def test_reads_of_a_replica_that_hangs_are_the_primarys(servers: Servers) -> None:
    async with process(servers, LONG_S, db_statement_timeout_seconds=0) as app:
        reader = await factories.user(app)
        await until(reads_go_to(servers.replica.port, app, reader))
        with hanging(servers.replica):
            async with asyncio.timeout(TIMEOUT_S):
                assert await where(app, reader) == servers.primary.port  # asked of the replica, and given up there
                assert await where(app, reader) == servers.primary.port
        await until(reads_go_to(servers.replica.port, app, reader))


@contextmanager
def hanging(server: Server) -> Generator[None]:
    """Every process of it stands still, as a machine does that nobody can reach."""
    assert server.pid is not None
    everybody = [server.pid, *descendants(server.pid)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)


async def test_reads_that_find_no_connection_to_a_replica_are_the_primarys(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.db.engines.POOL_TIMEOUT_S", 0.2)
    async with process(servers, LONG_S, db_pool_size=1) as app:
        reader = await factories.user(app)
        await until(reads_go_to(servers.replica.port, app, reader))
        (replica,) = app.state.replicas.watch.replicas
        async with replica.engine.connect() as held:
            await held.execute(text("SELECT 1"))
            assert await where(app, reader) == servers.primary.port
        await until(reads_go_to(servers.replica.port, app, reader))


async def test_a_replica_that_is_promoted_leaves(servers: Servers) -> None:
    with running(partial(PostgreSQLReplica, primary=servers.primary)) as other:
        async with process(Servers(servers.primary, other, servers.redis), LONG_S) as app:
            reader = await factories.user(app)
            await until(reads_go_to(other.port, app, reader))
            await asyncio.to_thread(other.promote)
            await until(partial(is_looked_at, app, time.monotonic()))
            assert await where(app, reader) == servers.primary.port


async def is_looked_at(app: FastAPI, since: float) -> bool:
    return all(replica.seen_at > since for replica in app.state.replicas.watch.replicas)


async def test_who_cannot_tell_the_others_waits_until_each_replica_shows_it(servers: Servers) -> None:
    """The writer's process has lost Redis; the other's has not, and finds no note there."""
    nowhere = "redis://127.0.0.1:1/0"
    async with process(servers, LONG_S, redis_url=nowhere) as one, process(servers, LONG_S) as two:
        writer = await factories.user(one)
        await until(reads_go_to(servers.replica.port, two, writer))
        with paused(servers):
            writing = asyncio.create_task(factories.item(writer, title="new"))
            await asyncio.wait([writing], timeout=1)
            assert not writing.done()
            assert await titles(two, writer) == []  # which is right: it has not heard that it is written
        await writing
        assert await titles(two, writer) == ["new"]
        assert await where(two, writer) == servers.replica.port
        assert await where(one, writer) == servers.primary.port  # it cannot know what the others have written


async def test_own_writes_are_seen_when_redis_is_killed_and_when_it_comes_back_without_them(servers: Servers) -> None:
    async with (
        process(servers, LONG_S) as one,
        process(servers, LONG_S) as two,
        process(servers, LONG_S) as quiet,  # which asks nothing while Redis is away
        process(servers, LONG_S) as unaware,  # which has asked nothing before
    ):
        writer = await factories.user(one)
        for app in (two, quiet):
            await until(reads_go_to(servers.replica.port, app, writer))
        await until(partial(unaware.state.replicas.choose, None))
        with paused(servers):
            await factories.item(writer, title="new")
            await asyncio.to_thread(servers.redis.kill)
            assert await titles(two, writer) == ["new"]
            await asyncio.to_thread(servers.redis.start)
            assert await titles(unaware, writer) == ["new"]
            assert await titles(two, writer) == ["new"]
            await asyncio.to_thread(settle, servers.redis)  # as from a copy of its data that it has kept
            assert await titles(quiet, writer) == ["new"]


async def test_own_writes_are_seen_when_redis_is_flushed(servers: Servers) -> None:
    async with process(servers, LONG_S) as one, process(servers, LONG_S) as two:
        writer = await factories.user(one)
        await until(reads_go_to(servers.replica.port, two, writer))
        with paused(servers):
            await factories.item(writer, title="new")
            with Client.from_url(servers.redis.url) as client:
                client.flushall()
            assert await titles(two, writer) == ["new"]
            assert await titles(one, writer) == ["new"]
    await asyncio.to_thread(settle, servers.redis)
