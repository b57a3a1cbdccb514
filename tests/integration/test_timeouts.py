"""A statement and the wait for a lock end in time, in the database itself; a migration takes as long as it takes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.auth.dependencies import CurrentUser
from app.core.database import Database, DbSession, ReadSession
from app.core.db.migrations import LOCK_ID, LOCK_NAME, current, heads, upgrade
from app.core.routing import Router
from app.examples.models import ExampleItem
from app.main import create_app
from tests import factories
from tests.factories import Actor
from tests.waiting import until

SLEEP = {"postgresql": "SELECT pg_sleep(30)", "mysql": "SELECT SLEEP(30)"}


@asynccontextmanager
async def impatient(app: FastAPI, seconds: int) -> AsyncGenerator[FastAPI]:
    other = create_app(app.state.settings.model_copy(update={"db_statement_timeout_seconds": seconds}))
    try:
        yield other
    finally:
        await factories.close(other)


async def test_who_waits_for_a_locked_row_hears_to_come_again(
    app: FastAPI, backend: str, user: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    if backend == "sqlite":
        return  # it locks no rows
    item_id = (await factories.item(user))["id"]
    url, change = f"/api/v1/items/{item_id}", {"title": "changed"}
    async with impatient(app, 4) as other:  # it waits one second for a lock
        async with app.state.database.sessions.begin() as holder:
            await holder.execute(select(ExampleItem).where(ExampleItem.id == item_id).with_for_update())
            answer = await factories.client(other, user.token).put(url, json=change)
        again = await factories.client(other, user.token).put(url, json=change)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    (record,) = [record for record in caplog.records if record.message == "cannot be served now"]
    assert ("55P03" in record.__dict__["error"]) is (backend == "postgresql")  # the lock's time, not the statement's
    assert again.status_code == 200


async def test_a_statement_that_takes_too_long_is_given_up(app: FastAPI, backend: str, user: Actor) -> None:
    if backend == "sqlite":
        return
    router = Router()

    @router.post("/slow")
    async def slow_write(_: CurrentUser, db: DbSession) -> None:
        await db.execute(text(SLEEP[backend]))

    @router.get("/slow")
    async def slow_read(_: CurrentUser, read: ReadSession) -> None:
        await read.one(select(text(SLEEP[backend].removeprefix("SELECT "))))

    async with impatient(app, 1) as other:
        other.include_router(router)
        http = factories.client(other, user.token)
        answers = await asyncio.gather(http.post("/slow"), http.get("/slow"))
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "1")] * 2


HOLD = {"postgresql": f"SELECT pg_advisory_lock({LOCK_ID})", "mysql": "SELECT GET_LOCK(:name, 0)"}
WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock' AND db = DATABASE()",
}


async def test_a_migration_is_not_cut(backend: str, empty_database: str) -> None:
    if backend == "sqlite":
        return
    settings = factories.settings(database_url=empty_database, db_statement_timeout_seconds=1)
    database = Database(settings)
    try:
        async with database.engine.connect() as holder:
            name = {"name": f"{LOCK_NAME}.{settings.url.database}"} if backend == "mysql" else {}
            await holder.execute(text(HOLD[backend]), name)
            migration = asyncio.create_task(asyncio.to_thread(upgrade, settings))
            async with database.read_engine.connect() as watcher:
                await until(lambda: watcher.scalar(text(WAITING[backend])))
            await asyncio.wait([migration], timeout=1.5)  # longer than a statement may take
            assert not migration.done()
            await holder.invalidate()
        await migration
        assert await current(database) == heads()
    finally:
        await database.close()
