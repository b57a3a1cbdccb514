"""Several processes on one SQLite file; promise 24."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from app.auth.models import User
from app.core.database import Database
from app.core.db.migrations import prepare
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
