"""Jobs: never lost, never run for a write that was rolled back, done once for what they write. Promise 29.

The application runs them itself here; tests/e2e/test_celery.py has the same with a broker and workers.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.auth.dependencies import CurrentUser
from app.auth.models import User
from app.core.config import Settings
from app.core.database import Database, DbSession, Row, utcnow
from app.core.db.migrations import prepare
from app.core.errors import Conflict
from app.core.jobs import FailedForGood, Job, enqueue, periodic, task
from app.core.jobs.execution import execute
from app.core.jobs.outbox import (
    DEAD,
    DONE,
    WAITING,
    OutboxJob,
    note_not_sent,
    note_sent,
    take_one_to_run,
    take_to_run,
    take_to_send,
)
from app.core.jobs.runner import Runner
from app.core.jobs.schedule import Schedule
from app.core.jobs.task import TASKS, Task
from app.core.routing import Router
from app.examples.models import ExampleItem
from app.main import create_app
from tests import factories
from tests.factories import Actor
from tests.waiting import until

JOBS = "/api/v1/jobs"
seen: list[Any] = []
periods: list[str] = []
may_succeed: set[str] = set()


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()
    may_succeed.clear()


@task
async def take_notes(job: Job, number: int, moment: datetime, identifier: UUID, day: date | None = None) -> None:
    seen.append((number, moment, identifier, day))


@task
async def add_item(job: Job, user_id: int, title: str) -> None:
    job.db.add(ExampleItem(user_id=user_id, title=title))


@task(max_attempts=3, backoff_s=0.01)
async def fail_at_first(job: Job, user_id: int, title: str) -> None:
    """What it wrote when it failed must not stay."""
    seen.append((job.attempt, job.key))
    job.db.add(ExampleItem(user_id=user_id, title=title))
    await job.db.flush()
    if job.attempt == 1:
        raise LookupError


@task(max_attempts=3, backoff_s=0.01)
async def fail_until_told(job: Job, user_id: int, name: str) -> None:
    seen.append(job.attempt)
    job.db.add(ExampleItem(user_id=user_id, title=name))
    await job.db.flush()
    if name not in may_succeed:
        raise LookupError(f"not yet: {name}")


@task(max_attempts=3, backoff_s=0.01)
async def fail_for_good(job: Job) -> None:
    seen.append(job.attempt)
    raise FailedForGood("It will never work")


@task(max_attempts=1, timeout_s=0.05)
async def take_too_long(job: Job) -> None:
    await asyncio.Event().wait()


@task
async def wait_for_ever(job: Job) -> None:
    seen.append(job.attempt)
    await asyncio.Event().wait()


async def now_and_then(job: Job) -> None:
    periods.append(job.key)


@pytest.fixture
def periodic_task() -> Generator[Task[[]]]:
    """Registered for one test: the other apps of this process would enqueue it for servers that do not have it."""
    registered = periodic(every=timedelta(hours=7))(now_and_then)
    yield registered
    del TASKS[registered.name]


router = Router(prefix="/jobs-test")


@router.post("/notes")
async def make_notes(caller: CurrentUser, db: DbSession, fail: bool = False) -> None:
    enqueue(db, take_notes, 7, datetime(2026, 1, 2, 3, tzinfo=UTC), identifier=UUID(int=5))
    if fail:
        await db.flush()
        raise Conflict


@router.post("/wrong")
async def enqueue_what_no_task_takes(caller: CurrentUser, db: DbSession) -> None:
    wrong: Any = {"number": "seven", "moment": "never", "identifier": "?"}
    enqueue(db, take_notes, **wrong)


@pytest.fixture
def http(app: FastAPI, user: Actor) -> Any:
    extended = create_app(app.state.settings)
    factories.share(extended, app)
    extended.include_router(router)
    return factories.client(extended, user.token)


async def put(app: FastAPI, what: Any, **arguments: Any) -> int:
    """The id of a new job."""
    async with app.state.database.sessions.begin() as db:
        enqueue(db, what, **arguments)
        await db.flush()
        return await db.scalar(select(func.max(OutboxJob.id)))


async def get(app: FastAPI, job_id: int) -> Row:
    return await app.state.database.read.one(select(OutboxJob).where(OutboxJob.id == job_id))


async def ended(app: FastAPI, job_id: int) -> Row:
    """The job, when it has succeeded or failed for good."""

    async def look() -> Row | None:
        row = await get(app, job_id)
        return row if row.state in (DONE, DEAD) else None

    return await until(look)


async def titles(app: FastAPI) -> list[str]:
    return sorted(row.title for row in await app.state.database.read.all(select(ExampleItem)))


async def test_a_job_runs_after_the_commit_with_what_it_was_given(app: FastAPI, http: Any) -> None:
    assert (await http.post("/jobs-test/notes", headers={"X-Request-ID": "the-request"})).status_code == 200
    row = (await app.state.database.read.all(select(OutboxJob).where(OutboxJob.task.contains("take_notes"))))[0]
    done = await ended(app, row.id)
    assert seen == [(7, datetime(2026, 1, 2, 3, tzinfo=UTC), UUID(int=5), None)]
    assert (done.state, done.attempts, done.request_id, done.due_at, done.lease) == (DONE, 1, "the-request", None, None)
    assert done.finished_at >= done.created_at


async def test_what_is_rolled_back_leaves_no_job(app: FastAPI, http: Any) -> None:
    assert (await http.post("/jobs-test/notes?fail=true")).status_code == 409
    assert (await http.post("/jobs-test/wrong")).status_code == 500
    await ended(app, await put(app, fail_for_good))  # whatever was there before has been looked at
    assert seen == [1]
    jobs = await app.state.database.read.all(select(OutboxJob.task).where(OutboxJob.task.contains("test_jobs.take_")))
    assert jobs == []


async def test_a_jobs_writes_and_its_end_are_one_transaction(app: FastAPI, user: Actor) -> None:
    done = await ended(app, await put(app, fail_at_first, user_id=user.id, title="twice"))
    assert (done.state, done.error) == (DONE, None)
    assert seen == [(1, done.key), (2, done.key)]
    assert await titles(app) == ["twice"]


async def test_what_always_fails_ends_dead_and_harms_no_other(app: FastAPI, user: Actor) -> None:
    doomed = await put(app, fail_until_told, user_id=user.id, name="doomed")
    others = [await put(app, add_item, user_id=user.id, title=f"{n}") for n in range(5)]
    dead = await ended(app, doomed)
    assert (dead.state, dead.attempts, dead.error, dead.due_at) == (DEAD, 3, "LookupError: not yet: doomed", None)
    assert seen == [1, 2, 3]
    assert [(await ended(app, job_id)).state for job_id in others] == [DONE] * 5
    assert await titles(app) == ["0", "1", "2", "3", "4"]


async def test_what_will_never_work_is_not_tried_again(app: FastAPI) -> None:
    dead = await ended(app, await put(app, fail_for_good))
    assert (dead.state, dead.attempts, dead.error) == (DEAD, 1, "FailedForGood: It will never work")
    assert seen == [1]


async def test_what_takes_too_long_has_failed(app: FastAPI) -> None:
    dead = await ended(app, await put(app, take_too_long))
    assert (dead.state, dead.error) == (DEAD, "TimeoutError: after 0.05 s")


class Quiet:
    """A database of its own whose outbox nobody looks at by himself."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)

    async def put(self, what: Any, **arguments: Any) -> int:
        async with self.database.sessions.begin() as db:
            enqueue(db, what, **arguments)
            await db.flush()
            job_id = await db.scalar(select(func.max(OutboxJob.id)))
        assert job_id
        return job_id

    async def take(self) -> OutboxJob:
        (row,) = await take_to_run(self.database, 1)
        return row

    async def execute(self, row: OutboxJob) -> None:
        await execute(self.database, self.settings, row)

    async def pass_over(self, job_id: int) -> None:
        """As if the time had passed that the row has to wait."""
        async with self.database.sessions.begin() as db:
            await db.execute(update(OutboxJob).where(OutboxJob.id == job_id).values(due_at=utcnow()))

    async def get(self, job_id: int) -> Row:
        row = await self.database.read.one(select(OutboxJob).where(OutboxJob.id == job_id))
        assert row
        return row


@pytest.fixture
async def quiet(empty_database: str) -> AsyncGenerator[Quiet]:
    quiet = Quiet(factories.settings(database_url=empty_database))
    await prepare(quiet.settings, quiet.database)
    async with quiet.database.sessions.begin() as db:
        db.add(User(id=1, email="somebody@example.com", hashed_password=""))
    yield quiet
    await quiet.database.close()


async def test_a_commit_wakes_whoever_runs_jobs_and_nothing_else_does(quiet: Quiet) -> None:
    woken = quiet.database.jobs_committed
    async with quiet.database.sessions.begin() as db:
        db.add(ExampleItem(user_id=1, title="no job"))
    async with quiet.database.sessions() as db:
        enqueue(db, add_item, user_id=1, title="never")
        await db.flush()
        await db.rollback()
    assert not woken.is_set()
    await quiet.put(add_item, user_id=1, title="x")
    assert woken.is_set()


async def test_each_failure_waits_longer(quiet: Quiet) -> None:
    job_id = await quiet.put(add_item, user_id=2, title="of nobody")
    waits = []
    for _ in range(4):
        await quiet.execute(await quiet.take())
        row = await quiet.get(job_id)
        assert row.state == WAITING
        assert "nobody" not in row.error
        waits.append((row.due_at - utcnow()).total_seconds())
        assert await take_to_run(quiet.database, 1) == []
        await quiet.pass_over(job_id)
    assert [0.7 * 5 * 2**n < wait < 1.3 * 5 * 2**n for n, wait in enumerate(waits)] == [True] * 4, waits


async def test_a_process_that_dies_is_noticed_and_the_job_runs_again(quiet: Quiet) -> None:
    job_id = await quiet.put(add_item, user_id=1, title="once")
    late = await quiet.take()
    assert await take_to_run(quiet.database, 1) == []  # it has its lease
    await quiet.pass_over(job_id)
    await quiet.execute(await quiet.take())
    assert ((await quiet.get(job_id)).state, (await quiet.get(job_id)).attempts) == (DONE, 2)
    await quiet.execute(late)  # it was only slow: what it does now must not be done again
    assert await quiet.database.read.count(select(ExampleItem)) == 1
    assert ((await quiet.get(job_id)).state, (await quiet.get(job_id)).attempts) == (DONE, 2)


async def test_a_late_attempt_is_rolled_back_while_another_runs(quiet: Quiet) -> None:
    job_id = await quiet.put(add_item, user_id=1, title="once")
    late = await quiet.take()
    await quiet.pass_over(job_id)
    current = await quiet.take()
    await quiet.execute(late)
    assert await quiet.database.read.count(select(ExampleItem)) == 0
    await quiet.execute(current)
    assert await quiet.database.read.count(select(ExampleItem)) == 1


async def test_what_kills_its_process_does_so_no_more_often_than_it_may_fail(quiet: Quiet) -> None:
    job_id = await quiet.put(fail_until_told, user_id=1, name="x")
    for _ in range(3):
        await quiet.take()
        await quiet.pass_over(job_id)
    assert await take_to_run(quiet.database, 1) == []
    dead = await quiet.get(job_id)
    assert (dead.state, dead.attempts, seen) == (DEAD, 3, [])
    assert dead.error == "The process that ran it ended, or was held up beyond the task's timeout"


async def anything_seen() -> bool:
    return bool(seen)


async def test_a_process_that_ends_gives_back_what_it_has_not_done(quiet: Quiet) -> None:
    job_id = await quiet.put(wait_for_ever)
    running = asyncio.create_task(quiet.execute(await quiet.take()))
    await until(anything_seen)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    row = await quiet.get(job_id)
    assert (row.state, row.attempts, row.lease) == (WAITING, 0, None)
    assert len(await take_to_run(quiet.database, 1)) == 1


async def test_a_worker_waits_for_the_row_of_its_message(quiet: Quiet) -> None:
    """The message may be faster than the note that it was sent; there is no second one."""
    job_id = await quiet.put(add_item, user_id=1, title="x")
    assert await take_to_send(quiet.database, 10) == [job_id]
    async with quiet.database.sessions.begin() as db:
        await db.execute(update(OutboxJob).values(due_at=utcnow() + timedelta(minutes=5)))
        other = Database(quiet.settings)
        taking = asyncio.create_task(take_one_to_run(other, job_id))
        await asyncio.wait([taking], timeout=0.2)
        assert not taking.done()
    row = await taking
    await other.close()
    assert row is not None
    assert (row.id, row.attempts) == (job_id, 1)


async def test_a_message_that_comes_twice_runs_its_job_once(quiet: Quiet) -> None:
    job_id = await quiet.put(add_item, user_id=1, title="x")
    await take_to_send(quiet.database, 10)
    row = await take_one_to_run(quiet.database, job_id)
    assert row is not None
    assert await take_one_to_run(quiet.database, job_id) is None
    await quiet.execute(row)
    assert await take_one_to_run(quiet.database, job_id) is None


async def test_what_the_broker_lost_is_sent_again(quiet: Quiet) -> None:
    job_id = await quiet.put(add_item, user_id=1, title="x")
    assert await take_to_send(quiet.database, 10) == [job_id]
    await note_sent(quiet.database, [job_id])
    assert await take_to_send(quiet.database, 10) == []
    await quiet.pass_over(job_id)
    assert await take_to_send(quiet.database, 10) == [job_id]
    await note_not_sent(quiet.database, [job_id])
    assert (await quiet.get(job_id)).state == WAITING
    assert await take_to_send(quiet.database, 10) == []  # a moment later


async def test_of_many_takers_at_once_each_row_has_one(quiet: Quiet) -> None:
    for number in range(40):
        await quiet.put(add_item, user_id=1, title=f"{number}")
    others = [Database(quiet.settings) for _ in range(3)]
    takes = await asyncio.gather(*(take_to_run(database, 3) for database in others * 8))
    taken = [row.id for rows in takes for row in rows]
    assert len(taken) == len(set(taken)) > 3
    for database in others:
        await database.close()


async def all_done(app: FastAPI) -> bool:
    return await app.state.database.read.count(select(OutboxJob).where(OutboxJob.state != DONE)) == 0


async def test_several_runners_at_once_do_each_job_once(app: FastAPI, user: Actor) -> None:
    databases = [Database(app.state.settings) for _ in range(4)]
    runners = [Runner(database, app.state.settings) for database in databases]
    running = asyncio.gather(*(runner.run() for runner in runners))
    try:
        async with app.state.database.sessions.begin() as db:
            for number in range(200):
                enqueue(db, add_item, user_id=user.id, title=f"{number:03}")
        for database in databases:
            database.jobs_committed.set()
        await until(lambda: all_done(app))
    finally:
        for runner in runners:
            runner.stop()
        await running
        for database in databases:
            await database.close()
    assert await titles(app) == [f"{number:03}" for number in range(200)]
    attempts = select(OutboxJob.attempts).where(OutboxJob.task.contains("add_item")).distinct()
    assert [row.attempts for row in await app.state.database.read.all(attempts)] == [1]


async def test_a_period_has_one_run_however_many_look(app: FastAPI, periodic_task: Task[[]]) -> None:
    await asyncio.gather(*(Schedule(app.state.database).enqueue_due() for _ in range(10)))
    rows = await app.state.database.read.all(select(OutboxJob).where(OutboxJob.task == periodic_task.name))
    assert len(rows) == 1
    app.state.database.jobs_committed.set()
    done = await ended(app, rows[0].id)
    assert (done.state, done.attempts) == (DONE, 1)
    assert done.key in periods
    await Schedule(app.state.database).enqueue_due()
    assert await app.state.database.read.count(select(OutboxJob).where(OutboxJob.task == periodic_task.name)) == 1


async def test_a_task_that_this_code_does_not_know_waits_for_code_that_does(app: FastAPI) -> None:
    async with app.state.database.sessions.begin() as db:
        job = OutboxJob(task="of.a_newer_version", arguments={}, due_at=utcnow())
        db.add(job)
        await db.flush()
        job_id = job.id
    app.state.database.jobs_committed.set()

    async def failed() -> Row | None:
        row = await get(app, job_id)
        return row if row.error else None

    row = await until(failed)
    assert (row.state, row.attempts) == (WAITING, 1)
    assert row.error == "LookupError: This process has no task of.a_newer_version"


async def test_superusers_see_what_failed_and_have_it_run_again(app: FastAPI, user: Actor, superuser: Actor) -> None:
    job_id = await put(app, fail_until_told, user_id=user.id, name="later")
    await ended(app, job_id)
    (listed,) = (await superuser.http.get(f"{JOBS}?state=dead")).json()
    assert listed == (await superuser.http.get(f"{JOBS}/{job_id}")).json()
    assert (listed["arguments"], listed["attempts"]) == ({"user_id": user.id, "name": "later"}, 3)
    may_succeed.add("later")
    again = await superuser.http.post(f"{JOBS}/{job_id}/retry")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "waiting", 0)
    assert (await ended(app, job_id)).state == DONE
    assert (await superuser.http.post(f"{JOBS}/{job_id}/retry")).status_code == 409
    assert (await superuser.http.get(f"{JOBS}?state=dead")).json() == []
    assert [(await superuser.http.get(f"{JOBS}/{n}")).status_code for n in (0, 2**63 - 1, 2**63)] == [404] * 3
    assert await titles(app) == ["later"]


def test_what_is_no_task_is_refused_where_it_is_written() -> None:
    def not_async(job: Job) -> None: ...
    async def untyped(job, number) -> None: ...
    async def greedy(job: Job, *numbers: int) -> None: ...

    wrong: list[Any] = [not_async, untyped, greedy]
    for handler in wrong:
        with pytest.raises(TypeError):
            task(handler)
    for every in (timedelta(0), timedelta(days=2)):
        with pytest.raises(ValueError, match="a period is"):
            periodic(every=every)
