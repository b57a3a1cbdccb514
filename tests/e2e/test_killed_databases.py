"""The database is killed under traffic: 503 until it is back, nothing else, and what was acknowledged is there."""

import asyncio
from collections import Counter
from http import HTTPStatus

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.examples.models import ExampleItem
from app.main import create_app
from deploy.cluster.servers import MariaDB, PostgreSQL, running
from tests import factories
from tests.factories import Actor
from tests.waiting import until

pytestmark = pytest.mark.whole_project

ITEMS = "/api/v1/items"
PEOPLE = 12
POOL = 4
KILLS = 5


class Traffic:
    """People who sign in, write and read, one request after the other."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
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


@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB])
async def test_under_traffic_a_killed_database_is_503_and_loses_no_acknowledged_write(
    kind: type[PostgreSQL | MariaDB],
) -> None:
    if not kind.find():
        pytest.skip(f"{kind.program} is not installed")
    with running(kind) as server:
        app = create_app(factories.settings(database_url=server.url, db_pool_size=POOL))
        async with app.router.lifespan_context(app):
            people = [await factories.user(app) for _ in range(PEOPLE)]
            traffic = Traffic(app)
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
