"""Periodic tasks: a row of the outbox for each period, under a key that only one process can write."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.core.database import Database, utcnow
from app.core.db.errors import is_taken
from app.core.jobs.outbox import OutboxJob, new_row
from app.core.jobs.task import TASKS, Task


class Schedule:
    """What is due of the periodic tasks. Periods count from 1970 (UTC); those that were missed are not made up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written: dict[str, str] = {}  # each task's last key that this process knows to be there

    async def enqueue_due(self) -> None:
        for task in list(TASKS.values()):
            if task.every is not None and self._written.get(task.name) != (key := _key(task)):
                await self._write(task, key)
                self._written[task.name] = key

    async def _write(self, task: Task[...], key: str) -> None:
        if await self._database.read.one(select(OutboxJob.id).where(OutboxJob.key == key)) is None:
            try:
                async with self._database.sessions.begin() as db:
                    db.add(new_row(task, {}, key=key))
            except IntegrityError as error:
                if not is_taken(error):  # else another process was faster
                    raise


def _key(task: Task[...]) -> str:
    assert task.every is not None
    number = int(utcnow().timestamp() // task.every.total_seconds())
    return f"{task.name}/{task.every.total_seconds():g}s/{number}"
