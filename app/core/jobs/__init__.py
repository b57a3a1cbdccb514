"""Work after the answer: `enqueue` a `task`, and it runs once the transaction is committed; never when it is not.

A job is a row of the outbox. Without CELERY_BROKER_URL a runner inside the process runs it, with it a Celery worker.
"""

from app.core.jobs.outbox import enqueue
from app.core.jobs.task import FailedForGood, Job, periodic, task

__all__ = ["FailedForGood", "Job", "enqueue", "periodic", "task"]
