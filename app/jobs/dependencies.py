"""The job that a superuser's request is about."""

from typing import Annotated

from fastapi import Depends
from sqlalchemy import select

from app.auth.dependencies import Superuser
from app.core.database import MAX_BIG_INTEGER, DbSession, ReadSession, Row, can_be_id
from app.core.errors import NotFound
from app.core.jobs.outbox import OutboxJob


async def get_job(job_id: int, _: Superuser, read: ReadSession) -> Row:
    wanted = select(OutboxJob).where(OutboxJob.id == job_id)
    job = await read.one(wanted) if can_be_id(job_id, MAX_BIG_INTEGER) else None
    if job is None:
        raise NotFound("Job not found")
    return job


JobRow = Annotated[Row, Depends(get_job)]


async def get_locked_job(known: JobRow, db: DbSession) -> OutboxJob:
    job = await db.scalar(select(OutboxJob).where(OutboxJob.id == known.id).with_for_update())
    if job is None:
        raise NotFound("Job not found")
    return job


LockedJob = Annotated[OutboxJob, Depends(get_locked_job)]
