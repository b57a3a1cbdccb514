"""Running one job: its writes and the note that it is done are one transaction."""

import asyncio
import logging
import random
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import Settings
from app.core.database import Database, rows_changed, utcnow
from app.core.db.errors import describe
from app.core.jobs.outbox import DEAD, DONE, RUNNING, WAITING, OutboxJob
from app.core.jobs.task import BACKOFF_S, MAX_ATTEMPTS, TASKS, FailedForGood, Job
from app.core.observability.logs import request_id

logger = logging.getLogger("app.jobs")

MAX_BACKOFF_S = 3600
MAX_ERROR_LENGTH = 2000


class LeaseLost(Exception):
    """Another process has the job: this one took longer than its lease, and what it wrote is rolled back."""


async def execute(database: Database, settings: Settings, row: OutboxJob) -> None:
    """Run a job that was taken, and note what came of it; nothing is raised for a task that fails.

    Raises:
        DBAPIError, OSError: it could not be noted. The job runs again when its lease is over.
    """
    token = request_id.set(row.request_id)
    started = time.perf_counter()
    try:
        outcome = await _attempt(database, settings, row)
        fields = {"job_id": row.id, "attempt": row.attempts, "outcome": outcome}
        duration = round((time.perf_counter() - started) * 1000, 1)
        logger.info("job %s", row.task, extra=fields | {"duration_ms": duration})
    except asyncio.CancelledError:  # this process is ending
        await asyncio.shield(_note(database, row, state=WAITING, due_at=utcnow(), attempts=row.attempts - 1))
        raise
    finally:
        request_id.reset(token)


async def _attempt(database: Database, settings: Settings, row: OutboxJob) -> str:
    try:
        await _run(database, settings, row)
    except LeaseLost:
        logger.warning("job %s took longer than its lease", row.task, extra={"job_id": row.id})
        return "lost"
    except Exception as error:  # noqa: BLE001 - a task is any code
        return await _note_failure(database, row, error)
    return DONE


async def _run(database: Database, settings: Settings, row: OutboxJob) -> None:
    task = TASKS.get(row.task)
    if task is None:  # of a newer version of the code, perhaps, which will come to this process too
        raise LookupError(f"This process has no task {row.task}")
    async with asyncio.timeout(task.timeout_s), database.sessions.begin() as db:
        job = Job(row.key, row.attempts, db, database, settings)
        await task.handler(job, **task.load(row.arguments))
        done = {"state": DONE, "error": None, "due_at": None, "lease": None, "finished_at": utcnow()}
        if not await _update(db, row, done):
            raise LeaseLost


async def _note_failure(database: Database, row: OutboxJob, error: Exception) -> str:
    task = TASKS.get(row.task)
    text = _text(error, task.timeout_s if task else 0)
    if isinstance(error, FailedForGood) or row.attempts >= (task.max_attempts if task else MAX_ATTEMPTS):
        logger.error("job %s failed for good", row.task, extra={"job_id": row.id, "error": text})
        await _note(database, row, state=DEAD, error=text, due_at=None, finished_at=utcnow())
        return DEAD
    logger.warning("job %s failed", row.task, extra={"job_id": row.id, "error": text}, exc_info=error)
    delay = timedelta(seconds=_backoff_s(task.backoff_s if task else BACKOFF_S, row.attempts))
    await _note(database, row, state=WAITING, error=text, due_at=utcnow() + delay)
    return "failed"


def _text(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"TimeoutError: after {timeout_s:g} s"
    return describe(error)[:MAX_ERROR_LENGTH].replace("\0", "")


def _backoff_s(first: float, attempts: int) -> float:
    """Twice as long after each failure, up to an hour; spread, so that what failed together is not tried together."""
    return min(first * 2 ** (attempts - 1), MAX_BACKOFF_S) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


async def _note(database: Database, row: OutboxJob, **values: Any) -> None:
    async with database.sessions.begin() as db:
        await _update(db, row, {"lease": None, **values})


async def _update(db: AsyncSession, row: OutboxJob, values: dict[str, Any]) -> bool:
    """Whether the row was still under this attempt's lease."""
    where = (OutboxJob.id == row.id, OutboxJob.state == RUNNING, OutboxJob.lease == row.lease)
    return await rows_changed(db, update(OutboxJob).where(*where).values(**values)) == 1
