"""In development the log names slow statements, and those that a request runs over and over."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import literal, select, text

from app.core.database import DbSession, ReadSession
from app.core.observability.setup import configure_logging
from app.core.policy import public
from app.core.routing import Router
from app.examples.models import ExampleItem
from tests import factories

Output = pytest.CaptureFixture[str]

WAIT = {
    "postgresql": "SELECT pg_sleep(0.15), :secret",
    "mysql": "SELECT sleep(0.15), :secret",
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000000)"
    " SELECT count(*), :secret FROM numbers",
}
SECRET = "hunter2"

router = Router()


@router.get("/each/{times}")
@public
async def each(times: int, read: ReadSession) -> None:
    for number in range(times):
        await read.all(select(ExampleItem.id, literal(SECRET)).where(ExampleItem.id == number))


@router.get("/wait/{backend}")
@public
async def wait(backend: str, db: DbSession) -> None:
    await db.execute(text(f"{WAIT[backend]}  -- for 'hunter2'"), {"secret": SECRET})


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    configure_logging(factories.settings())


Build = Callable[[str], FastAPI]


@pytest.fixture
async def running_in(app: FastAPI) -> AsyncGenerator[Build]:
    """Builds the application for an environment."""
    async with factories.building(app, router) as build:
        yield lambda environment: build(environment=environment, log_format="json", log_level="WARNING")


def lines(capsys: Output) -> list[dict[str, Any]]:
    said = capsys.readouterr().err
    assert SECRET not in said
    return [line for line in map(json.loads, said.splitlines()) if line["logger"] == "app.database"]


async def test_a_statement_that_a_request_runs_many_times_is_named(running_in: Build, capsys: Output) -> None:
    client = factories.client(running_in("development"))
    (await client.get("/each/4")).raise_for_status()
    assert lines(capsys) == []
    answer = await client.get("/each/7")
    (line,) = lines(capsys)
    assert line["message"] == "a request runs one statement many times (N+1)"
    assert (line["times"], line["route"]) == (7, "GET /each/{times}")
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert "FROM example_items WHERE" in line["statement"]
    assert line["duration_ms"] > 0


async def test_a_slow_statement_is_named(running_in: Build, capsys: Output, backend: str) -> None:
    (await factories.client(running_in("development")).get(f"/wait/{backend}")).raise_for_status()
    (line,) = lines(capsys)
    assert line["message"] == "a slow statement"
    assert line["duration_ms"] >= 100
    assert line["route"] == "GET /wait/{backend}"
    assert "-- for '...'" in line["statement"]


async def test_elsewhere_nobody_watches(running_in: Build, capsys: Output, backend: str) -> None:
    app = running_in("production")
    (await factories.client(app).get("/each/7")).raise_for_status()
    (await factories.client(app).get(f"/wait/{backend}")).raise_for_status()
    assert lines(capsys) == []
    dispatch = app.state.database.read_engine.sync_engine.dispatch
    assert not list(dispatch.before_cursor_execute)
    assert not list(dispatch.after_cursor_execute)
