"""Jobs: what waits, what failed and why, and another try for what failed for good."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from sqlalchemy import select

from app.auth.dependencies import Superuser
from app.core.database import DbSession, ReadSession, Row
from app.core.errors import Conflict
from app.core.jobs.outbox import DEAD, OutboxJob, retry
from app.core.pagination import Page
from app.core.routing import Router
from app.jobs.dependencies import JobRow, LockedJob
from app.jobs.schemas import JobQuery, JobResponse

router = Router(prefix="/jobs", tags=["jobs"])


@router.get("", response_model=list[JobResponse])
async def list_jobs(query: Annotated[JobQuery, Query()], _: Superuser, read: ReadSession, page: Page) -> Sequence[Row]:
    """All jobs, the newest first; `state=dead` for those that failed for good."""
    return await page.fetch(read, select(OutboxJob), query)


@router.get("/{job_id}", response_model=JobResponse)
async def get_job(job: JobRow) -> Row:
    """One job."""
    return job


@router.post("/{job_id}/retry", response_model=JobResponse)
async def retry_job(job: LockedJob, db: DbSession) -> OutboxJob:
    """Have a job that failed for good run again, with all its attempts."""
    if job.state != DEAD:
        raise Conflict("The job has not failed for good")
    retry(db, job)
    await db.flush()
    return job
