"""Several processes on one SQLite file; promise 24."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.util import greenlet_spawn

from app.auth.models import User
from app.core.database import Database
from app.core.migrations import prepare
from tests import factories


async def test_a_writer_that_reads_first_is_never_told_that_it_came_too_late(tmp_path: Path) -> None:
    """A transaction that begins as a reader cannot write once another process has: SQLite says "locked" at once."""
    settings = factories.settings(database_url=f"sqlite:///{tmp_path}/shared.db")
    one, other = Database(settings), Database(settings)
    await prepare(settings, one)

    async def add(name: str) -> None:
        async with other.sessions.begin() as db:
            db.add(User(email=name, hashed_password=""))

    async with one.sessions.begin() as db:
        assert await db.scalar(select(func.count()).select_from(User)) == 0
        adding = asyncio.create_task(add("other@example.com"))
        await asyncio.wait([adding], timeout=0.2)
        db.add(User(email="one@example.com", hashed_password=""))
    await adding
    assert await one.read.count(select(User)) == 2
    for database in (one, other):
        await database.close()


async def test_what_is_left_of_a_statement_does_not_wait_for_the_next(tmp_path: Path) -> None:
    """The driver resets a statement when its cursor goes: here, while its connection's thread waits for the writer."""
    settings = factories.settings(database_url=f"sqlite:///{tmp_path}/shared.db")
    writer, other = Database(settings), Database(settings)
    await prepare(settings, writer)
    async with other.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).dbapi_connection

        def insert() -> Any:
            cursor = driver.cursor()
            cursor.executemany("INSERT INTO scratch VALUES (?)", [(1,)])
            return cursor

        await greenlet_spawn(driver.execute, "CREATE TABLE scratch (number INTEGER)")
        left = [await greenlet_spawn(insert)]
        await greenlet_spawn(driver.execute, "SELECT 1")  # the thread itself holds what it did last
        async with writer.sessions.begin() as db:
            await db.execute(select(User))  # it is the writer now
            waiting = asyncio.create_task(greenlet_spawn(insert))
            await asyncio.wait([waiting], timeout=0.2)
            left.clear()
        await asyncio.wait_for(waiting, 10)
    await writer.close()
    await other.close()
