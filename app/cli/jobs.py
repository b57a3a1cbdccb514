"""`app jobs list` and `app jobs retry`"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python
from sqlalchemy import select

from app.cli.checks.database import ask
from app.cli.migrate import command_settings, migrated
from app.cli.report import Fault, say
from app.core.database import MAX_BIG_INTEGER, Database, Row, can_be_id
from app.core.jobs.outbox import DEAD, STATES, OutboxJob, retry

COLUMNS = ("id", "task", "state", "attempts", "created_at", "error")
MORE_COLUMNS = ("arguments", "key", "due_at", "finished_at")
BATCH = 500

Answer = TypeVar("Answer")


def list_jobs(state: str, limit: int, as_json: bool) -> None:
    if state not in STATES:
        raise Fault("usage", f"must be one of {', '.join(STATES)}", argument="--state")
    wanted = select(OutboxJob).where(OutboxJob.state == state).order_by(OutboxJob.id.desc()).limit(limit)
    rows = _ask(as_json, lambda database: database.read.all(wanted))
    steps = [f"app jobs retry {rows[0].id}"] if rows and state == DEAD else []
    text = "\n".join(map(_line, rows)) or f"No job is {state}."
    say(as_json, text, next_steps=steps, jobs=[_document(row) for row in rows])


def retry_jobs(ids: Sequence[int], every_dead: bool, as_json: bool) -> None:
    if bool(ids) == every_dead:
        raise Fault("usage", "name the ids of dead jobs, or --all", next_step="app jobs list")
    if unknown := [job_id for job_id in ids if not can_be_id(job_id, MAX_BIG_INTEGER)]:
        raise Fault("usage", "is no job's id", argument=str(unknown[0]), next_step="app jobs list")
    retried = _ask(as_json, lambda database: _retry_dead(database, ids))
    if ids and not retried:
        raise Fault("unknown_job", "there is no dead job of that id", next_step="app jobs list", exit_code=1)
    say(as_json, f"{retried} to run again.", retried=retried)


async def _retry_dead(database: Database, ids: Sequence[int]) -> int:
    """How many there were, of those ids or of all."""
    wanted = select(OutboxJob).where(OutboxJob.state == DEAD).order_by(OutboxJob.id).limit(BATCH)
    if ids:
        wanted = wanted.where(OutboxJob.id.in_(ids))
    count = 0
    while True:
        async with database.sessions.begin() as db:
            rows = (await db.scalars(wanted.with_for_update(skip_locked=True))).all()
            for row in rows:
                retry(db, row)
        count += len(rows)
        if len(rows) < BATCH:
            return count


def _ask(as_json: bool, question: Callable[[Database], Awaitable[Answer]]) -> Answer:
    settings = command_settings(as_json)
    migrated(settings)
    return ask(settings, question)


def _line(row: Row) -> str:
    first = (row.error or "").partition("\n")[0]
    return f"{row.id}  {row.task}  attempts={row.attempts}  {row.created_at:%Y-%m-%d %H:%M:%S}  {first}".rstrip()


def _document(row: Row) -> dict[str, Any]:
    return {name: to_jsonable_python(getattr(row, name)) for name in (*COLUMNS, *MORE_COLUMNS)}
