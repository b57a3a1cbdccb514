"""The stored responses of Idempotency-Key are deleted after a day."""

from datetime import timedelta

from app.core.http.idempotency import IdempotencyKey
from app.core.jobs.cleanup import ago, delete_in_batches
from app.core.jobs.task import Job, periodic

KEEP_ANSWERS = timedelta(days=1)  # a client repeats a request for minutes, not for days


@periodic(every=timedelta(hours=1))
async def delete_old_answers(job: Job) -> None:
    await delete_in_batches(job.database, IdempotencyKey, IdempotencyKey.created_at < ago(KEEP_ANSWERS))
