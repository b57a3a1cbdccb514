"""The application with tasks and endpoints of a feature that the tests need: `uvicorn tests.jobs_app:app`."""

import asyncio
import os
import signal
from typing import Literal

from anyio import Path
from sqlalchemy import event

from app.auth.dependencies import CurrentUser
from app.core.database import DbSession
from app.core.jobs import Job, enqueue, task
from app.core.routing import Router
from app.examples.models import ExampleItem
from app.main import create_app

router = Router(prefix="/api/v1/jobs-test")


@task
async def add_item(job: Job, user_id: int, title: str) -> None:
    job.db.add(ExampleItem(user_id=user_id, title=title))


@task(timeout_s=5)
async def hold_at_first(job: Job, user_id: int, title: str) -> None:
    """The first attempt says that it has begun, has written something, and does not end."""
    job.db.add(ExampleItem(user_id=user_id, title=title))
    if job.attempt == 1:
        await job.db.flush()
        await Path(f"{title}.begun").touch()
        await asyncio.Event().wait()


@task
async def end_slowly(job: Job, user_id: int, title: str) -> None:
    await Path(f"{title}.begun").touch()
    await asyncio.sleep(1)
    job.db.add(ExampleItem(user_id=user_id, title=title))


@task(max_attempts=3, backoff_s=0.1)
async def always_fail(job: Job, user_id: int, title: str) -> None:
    raise LookupError(f"{title} is nowhere")


TASKS = {"add_item": add_item, "hold_at_first": hold_at_first, "end_slowly": end_slowly, "always_fail": always_fail}


@router.post("/{name}", status_code=202)
async def put(
    name: Literal["add_item", "hold_at_first", "end_slowly", "always_fail"],
    titles: list[str],
    user: CurrentUser,
    db: DbSession,
    die: bool = False,
) -> None:
    """Enqueue a job for each title; and die as soon as that is committed."""
    for title in titles:
        enqueue(db, TASKS[name], user_id=user.id, title=title)
    if die:
        event.listen(db.sync_session, "after_commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))


app = create_app()
app.include_router(router)
