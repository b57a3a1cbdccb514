"""The outbox: a row for each job, written in the transaction that wants it done.

A row is `waiting` until it is handed over, `sent` while the broker has it, `running` under a lease, and in the end
`done` or `dead`. `due_at` is when somebody has to look at it again: to hand it over, to send it once more because the
broker may have lost it, or because its lease is over.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ParamSpec

from sqlalchemy import JSON, BigInteger, Index, Integer, String, Uuid, and_, event, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import ExactString, LongText
from app.core.database import Base, Database, utcnow
from app.core.jobs.task import TASKS, TIMEOUT_S, Task
from app.core.observability.logs import request_id

P = ParamSpec("P")

STATES = WAITING, SENT, RUNNING, DONE, DEAD = "waiting", "sent", "running", "done", "dead"

LEASE_MARGIN_S = 10  # beyond the task's timeout: what machines' clocks may differ by, and a slow commit
SEND_LEASE_S = 30  # who takes a row to send it and dies has it for so long
SEND_AGAIN_S = 300  # the broker had it for so long: it may have lost it. A row that is sent twice runs once
RETRY_SENDING_S = 5


class OutboxJob(Base):
    """A job: what to do, how often it was tried, and what came of it."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    task: Mapped[str] = mapped_column(String(200))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    key: Mapped[str] = mapped_column(ExactString(255), unique=True, default=lambda: uuid.uuid4().hex)
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    lease: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    error: Mapped[str | None] = mapped_column(LongText)
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None] = mapped_column(index=True)


def enqueue(db: AsyncSession, task: Task[P], /, *args: P.args, **arguments: P.kwargs) -> None:
    """Have a task run soon after this transaction's commit, at least once; never when it is rolled back.

    The arguments are stored as JSON, in clear: ids and addresses, never a secret.

    Raises:
        TypeError, ValidationError: the task does not take these arguments.
    """
    db.add(new_row(task, task.dump(*args, **arguments), request_id=request_id.get()))
    wake_after_commit(db)


def new_row(task: Task[...], arguments: dict[str, Any], **values: Any) -> OutboxJob:
    return OutboxJob(task=task.name, arguments=arguments, due_at=utcnow(), **values)


def wake_after_commit(db: AsyncSession) -> None:
    """Have this process look for due rows as soon as the transaction is committed."""
    event.listen(db.sync_session, "after_commit", db.info["jobs_committed"])


def retry(db: AsyncSession, row: OutboxJob) -> None:
    """Have a dead job run again, as if it never had."""
    row.state, row.attempts, row.due_at, row.finished_at = WAITING, 0, utcnow(), None
    wake_after_commit(db)


async def take_to_run(database: Database, limit: int) -> Sequence[OutboxJob]:
    """Due rows, each under a lease of the caller's. Of several callers at once none takes another's."""
    async with database.sessions.begin() as db:
        rows = await _lock_due(db, limit)
        return [row for row in rows if _lease(row)]


async def take_one_to_run(database: Database, job_id: int) -> OutboxJob | None:
    """The row that the broker handed over, or None when another was faster or it is no longer to be run.

    A row that is locked is waited for: who sent it may just be noting so, and there is no second message.
    """
    is_ready = or_(OutboxJob.state == SENT, and_(OutboxJob.state == WAITING, OutboxJob.due_at <= utcnow()))
    async with database.sessions.begin() as db:
        row = await db.scalar(select(OutboxJob).where(OutboxJob.id == job_id, is_ready).with_for_update())
        return row if row is not None and _lease(row) else None


async def take_to_send(database: Database, limit: int) -> list[int]:
    """The ids of due rows, which nobody else sends for SEND_LEASE_S."""
    if await seconds_to_next(database) != 0:
        return []
    async with database.sessions.begin() as db:
        rows = [row for row in await _lock_due(db, limit) if not _is_lost(row)]
        for row in rows:
            row.state, row.due_at = SENT, _in(SEND_LEASE_S)
        return [row.id for row in rows]


async def note_sent(database: Database, ids: Sequence[int]) -> None:
    await _reschedule(database, ids, SENT, SEND_AGAIN_S)


async def note_not_sent(database: Database, ids: Sequence[int]) -> None:
    await _reschedule(database, ids, WAITING, RETRY_SENDING_S)


async def _reschedule(database: Database, ids: Sequence[int], state: str, seconds: float) -> None:
    """Those that still are where they were left: a worker may have run some by now, or be about to."""
    if ids:
        async with database.sessions.begin() as db:
            # By the key alone: found by their state, MySQL would lock them in another order than a worker does.
            rows = await db.scalars(
                select(OutboxJob).where(OutboxJob.id.in_(ids)).order_by(OutboxJob.id).with_for_update(skip_locked=True)
            )
            for row in rows:
                if row.state == SENT:
                    row.state, row.due_at = state, _in(seconds)


async def seconds_to_next(database: Database) -> float | None:
    """How long until a row is due, 0 when one is; None when there is no row to wait for.

    Asked before rows are locked: SQLite's only writer is not kept busy with finding nothing.
    """
    first = await database.read.one(select(func.min(OutboxJob.due_at).label("due_at")))
    if first is None or first.due_at is None:
        return None
    return max(0.0, (first.due_at - utcnow()).total_seconds())


async def _lock_due(db: AsyncSession, limit: int) -> Sequence[OutboxJob]:
    """SKIP LOCKED where there is; on SQLite the transaction is the only writer's."""
    due = select(OutboxJob).where(OutboxJob.due_at <= utcnow()).order_by(OutboxJob.due_at, OutboxJob.id).limit(limit)
    return (await db.scalars(due.with_for_update(skip_locked=True))).all()


def _lease(row: OutboxJob) -> bool:
    """Begin an attempt; False when the row has had its last."""
    if _is_lost(row):
        return False
    row.state, row.lease, row.attempts = RUNNING, uuid.uuid4(), row.attempts + 1
    task = TASKS.get(row.task)
    row.due_at = _in((task.timeout_s if task else TIMEOUT_S) + LEASE_MARGIN_S)
    return True


def _is_lost(row: OutboxJob) -> bool:
    """Whether it was running when its process died, for the last time: what kills a process must not do so for ever."""
    task = TASKS.get(row.task)
    if row.state != RUNNING or task is None or row.attempts < task.max_attempts:
        return False
    row.state, row.lease, row.due_at, row.finished_at = DEAD, None, None, utcnow()
    row.error = "The process that ran it ended, or was held up beyond the task's timeout"
    return True


def _in(seconds: float) -> datetime:
    return utcnow() + timedelta(seconds=seconds)
