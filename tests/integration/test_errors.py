"""What an error becomes: 409 for a key that is taken, 503 for a database that is away, a logged 500 for a bug."""

import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, MetaData, String, Table, insert

from app.core.database import DbSession
from app.core.policy import public
from app.core.routing import Router
from app.main import create_app
from tests import factories

METADATA = MetaData()
PARENTS = Table("test_parents", METADATA, Column("id", Integer, primary_key=True))
CHILDREN = Table(
    "test_children",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(20), nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("parent_id", ForeignKey("test_parents.id", ondelete="RESTRICT")),
    CheckConstraint("size > 0", name="size_is_positive"),
)
ROW = {"id": 2, "name": "second", "size": 1, "parent_id": 1}
RAISED = {error.__name__: error for error in (ConnectionError, ConnectionResetError, TimeoutError, OSError)}

router = Router()


@router.post("/test-rows/{field}/{value}")
@public
async def add_row(field: str, value: str, db: DbSession) -> None:
    written = {"none": None}.get(value, int(value) if value.lstrip("-").isdecimal() else value)
    await db.execute(insert(CHILDREN).values(ROW | {field: written}))


@router.delete("/test-rows/parent")
@public
async def delete_parent(db: DbSession) -> None:
    await db.execute(PARENTS.delete())


@router.post("/test-errors/{name}")
@public
async def fail(name: str, db: DbSession) -> None:
    raise RAISED[name]("of the endpoint's own code")


@pytest.fixture
async def rows(app: FastAPI) -> AsyncGenerator[FastAPI]:
    engine = app.state.database.engine
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(insert(PARENTS).values(id=1))
        await connection.execute(insert(CHILDREN).values(id=1, name="first", size=1, parent_id=1))
    async with factories.building(app, router) as build:
        yield build()
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.drop_all)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/test-rows/name/first"),
        ("POST", "/test-rows/id/1"),
        ("POST", "/test-rows/parent_id/99"),
        ("DELETE", "/test-rows/parent"),
    ],
)
async def test_unique_and_foreign_key_violations_are_409(rows: FastAPI, method: str, path: str) -> None:
    async with factories.client(rows) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 409, answer.text


@pytest.mark.parametrize("path", ["/test-rows/name/none", "/test-rows/size/none", "/test-rows/size/-1"])
async def test_other_violations_are_a_logged_500(rows: FastAPI, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with factories.client(rows) as client:
        answer = await client.post(path)
    assert answer.status_code == 500
    _assert_has_traceback(caplog)


@pytest.mark.parametrize("name", RAISED)
async def test_errors_of_an_endpoints_own_code_are_a_logged_500(
    rows: FastAPI, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with factories.client(rows) as client:
        answer = await client.post(f"/test-errors/{name}")
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    _assert_has_traceback(caplog)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://nobody@127.0.0.1:1/none",
        "mysql://nobody@127.0.0.1:1/none",
        "postgresql://nobody@does-not-exist.invalid/none",
        "mysql://nobody@does-not-exist.invalid/none",
        "sqlite:////does-not-exist/none.db",
    ],
)
async def test_a_database_that_cannot_be_connected_to_is_503(address: str, tmp_path: Path) -> None:
    app = create_app(factories.settings(database_url=address, mail_folder=tmp_path))
    app.include_router(router)
    async with factories.client(app) as client:
        answer = await client.post("/test-rows/name/third")
    await app.state.database.close()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def _assert_has_traceback(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == "app.access"
    assert record.exc_info
