"""The database is killed under traffic, or falls silent: 503 until it is back, nothing else, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Generator
from http import HTTPStatus

import pytest
from sqlalchemy import select

from app.core.jobs import background
from app.examples.models import ExampleItem
from app.main import create_app
from deploy.cluster.servers import MariaDB, PostgreSQL, running
from tests import factories
from tests.factories import Actor
from tests.relay import relayed
from tests.waiting import TIMEOUT_S, until

ITEMS = "/api/v1/items"
PEOPLE = 12
POOL = 4
KILLS = 5


class Traffic:
    """People who sign in, write and read, one request after the other."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.is_over = asyncio.Event()

    async def live(self, person: Actor) -> set[int]:
        """Ids of the items that were acknowledged."""
        acknowledged = set()
        credentials = {"email": person.email, "password": person.password}
        while not self.is_over.is_set():
            written = await person.http.post(ITEMS, json={"title": "kept"})
            if written.status_code == HTTPStatus.CREATED:
                acknowledged.add(written.json()["id"])
            read = await person.http.get(ITEMS)
            signed_in = await person.http.post("/api/v1/auth/login", json=credentials)
            self.answers.update(answer.status_code for answer in (written, read, signed_in))
        return acknowledged

    async def is_served(self) -> bool:
        return self.answers[200] > 0

    async def is_refused(self) -> bool:
        return self.answers[503] > 0


Server = PostgreSQL | MariaDB


@pytest.fixture(params=[PostgreSQL, MariaDB])
def server(request: pytest.FixtureRequest) -> Generator[Server]:
    if not request.param.find():
        pytest.skip(f"{request.param.program} is not installed")
    with running(request.param) as running_server:
        yield running_server


async def test_under_traffic_a_killed_database_is_503_and_loses_no_acknowledged_write(server: Server) -> None:
    app = create_app(factories.settings(database_url=server.url, db_pool_size=POOL))
    async with app.router.lifespan_context(app):
        people = [await factories.user(app) for _ in range(PEOPLE)]
        traffic = Traffic()
        total: Counter[int] = Counter()
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(traffic.live(person)) for person in people]
            for _ in range(KILLS):
                await until(traffic.is_served)
                await asyncio.to_thread(server.kill)
                await until(traffic.is_refused)
                await asyncio.to_thread(server.start)
                total += traffic.answers
                traffic.answers.clear()
            await until(traffic.is_served)
            traffic.is_over.set()
        total += traffic.answers
        async with app.state.database.sessions() as db:
            there = set(await db.scalars(select(ExampleItem.id)))
    assert set(total) == {200, 201, 503}
    assert set().union(*(life.result() for life in lives)) <= there


async def test_a_database_that_falls_silent_keeps_nobody_waiting_and_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's limits end nothing then. Who comes after the silence is answered; who was there before is not."""
    monkeypatch.setattr("app.core.db.engines.SILENCE_MARGIN_S", 0.5)
    monkeypatch.setattr("app.core.db.engines.CONNECT_TIMEOUT_S", 1)
    async with relayed(server.url) as (relay, address):
        app = create_app(factories.settings(database_url=address, db_pool_size=2, db_statement_timeout_seconds=1))
        async with app.router.lifespan_context(app):
            person = await factories.user(app)
            item = f"{ITEMS}/{(await factories.item(person))['id']}"

            async def answers() -> set[int]:
                reads = [person.http.get(url) for url in (item, ITEMS) for _ in range(3)]
                writes = [person.http.put(item, json={"title": "x"}) for _ in range(6)]
                return {answer.status_code for answer in await asyncio.gather(*reads, *writes)}

            async def all_is_well() -> bool:
                return await answers() == {200}

            assert await all_is_well()
            relay.fall_silent()
            async with asyncio.timeout(TIMEOUT_S):
                assert await answers() == {503}
            relay.is_silent = False
            await until(all_is_well)


async def test_a_process_ends_though_its_database_says_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a look for jobs, and without a limit that would end it."""
    monkeypatch.setattr(background, "STOP_TIMEOUT_S", 0.5)
    monkeypatch.setattr(background, "LOOK_TIMEOUT_S", 0.5)
    async with relayed(server.url) as (relay, address):
        app = create_app(factories.settings(database_url=address, db_pool_size=2, db_statement_timeout_seconds=0))
        engines = app.state.engines.values()
        async with asyncio.timeout(TIMEOUT_S):
            async with app.router.lifespan_context(app):
                await factories.user(app)
                relay.fall_silent()
                app.state.database.jobs_committed.set()
                await until(lambda: asyncio.sleep(0, any(engine.pool.checkedout() for engine in engines)))
