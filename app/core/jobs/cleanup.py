"""What grows with use is deleted when it is of no more use, in batches: no lock is held for long."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_

from app.core.database import Base, Database, utcnow
from app.core.jobs.outbox import DEAD, DONE, OutboxJob
from app.core.jobs.task import Job, periodic

BATCH = 500

KEEP_DONE_JOBS = timedelta(days=7)
KEEP_DEAD_JOBS = timedelta(days=90)


async def delete_in_batches(database: Database, model: type[Base], *where: ColumnElement[bool]) -> None:
    """Delete the model's rows that the conditions hold for, each batch in a transaction of its own."""
    key = inspect(model).primary_key
    some = select(*key).where(*where).limit(BATCH)
    while rows := await database.read.all(some):
        values = [tuple(vars(row).values()) for row in rows]
        async with database.sessions.begin() as db:
            statement = delete(model).where(tuple_(*key).in_(values), *where)
            await db.execute(statement.execution_options(synchronize_session=False))


def ago(age: timedelta) -> datetime:
    return utcnow() - age


@periodic(every=timedelta(hours=1))
async def delete_finished_jobs(job: Job) -> None:
    for state, age in ((DONE, KEEP_DONE_JOBS), (DEAD, KEEP_DEAD_JOBS)):
        await delete_in_batches(job.database, OutboxJob, OutboxJob.state == state, OutboxJob.finished_at < ago(age))
