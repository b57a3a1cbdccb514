"""What is of no more use is deleted, and nothing else: more rows than a batch has, of each kind."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, inspect, select

from app.auth.models import AuthSession, SignInChallenge
from app.auth.tasks import delete_expired_challenges, delete_expired_sessions
from app.core.database import utcnow
from app.core.http.cleanup import KEEP_ANSWERS, delete_old_answers
from app.core.http.idempotency import IdempotencyKey
from app.core.jobs import enqueue
from app.core.jobs.cleanup import (
    BATCH,
    KEEP_DEAD_JOBS,
    KEEP_DONE_JOBS,
    delete_finished_jobs,
)
from app.core.jobs.outbox import DEAD, DONE, OutboxJob
from tests.factories import Actor
from tests.waiting import until

MANY = 2 * BATCH + 7
A_MOMENT = timedelta(minutes=1)


def sessions(user_id: int, expires_at: datetime, count: int) -> list[dict[str, Any]]:
    return [
        {"id": uuid4(), "user_id": user_id, "refresh_token_hash": "", "created_at": utcnow(), "expires_at": expires_at}
        for _ in range(count)
    ]


def challenges(user_id: int, expires_at: datetime, count: int) -> list[dict[str, Any]]:
    return [
        {"token_hash": uuid4().hex, "user_id": user_id, "guesses": 0, "expires_at": expires_at} for _ in range(count)
    ]


def answers(user_id: int, created_at: datetime, count: int) -> list[dict[str, Any]]:
    row = {"user_id": user_id, "fingerprint": "", "status": 201, "body": "{}", "created_at": created_at}
    return [row | {"key": uuid4().hex} for _ in range(count)]


def jobs(state: str, finished_at: datetime, count: int) -> list[dict[str, Any]]:
    row = {"task": "x", "arguments": {}, "state": state, "finished_at": finished_at}
    return [row | {"key": uuid4().hex} for _ in range(count)]


CASES = {
    "sessions": (
        delete_expired_sessions,
        AuthSession,
        lambda user_id: sessions(user_id, utcnow() - A_MOMENT, MANY),
        lambda user_id: sessions(user_id, utcnow() + A_MOMENT, 2),
    ),
    "challenges": (
        delete_expired_challenges,
        SignInChallenge,
        lambda user_id: challenges(user_id, utcnow() - A_MOMENT, MANY),
        lambda user_id: challenges(user_id, utcnow() + A_MOMENT, 2),
    ),
    "answers": (
        delete_old_answers,
        IdempotencyKey,
        lambda user_id: answers(user_id, utcnow() - KEEP_ANSWERS - A_MOMENT, MANY),
        lambda user_id: answers(user_id, utcnow() - KEEP_ANSWERS + A_MOMENT, 2),
    ),
    "jobs": (
        delete_finished_jobs,
        OutboxJob,
        lambda _: (
            jobs(DONE, utcnow() - KEEP_DONE_JOBS - A_MOMENT, MANY)
            + jobs(DEAD, utcnow() - KEEP_DEAD_JOBS - A_MOMENT, MANY)
        ),
        lambda _: (
            jobs(DONE, utcnow() - KEEP_DONE_JOBS + A_MOMENT, 2) + jobs(DEAD, utcnow() - KEEP_DEAD_JOBS + A_MOMENT, 2)
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_of_no_more_use_is_deleted(app: FastAPI, user: Actor, case: str) -> None:
    task, model, old, young = CASES[case]
    to_go, to_stay = old(user.id), young(user.id)
    async with app.state.database.sessions.begin() as db:
        await db.execute(insert(model), to_go)
        await db.execute(insert(model), to_stay)
        enqueue(db, task)
    column: Any = {AuthSession: AuthSession.id, SignInChallenge: SignInChallenge.token_hash}.get(model)
    column = inspect(model).attrs["key"] if column is None else column

    async def done() -> bool:
        # The application's own run of the task may be there too, and done before this one.
        waiting = select(OutboxJob).where(OutboxJob.task == task.name, OutboxJob.state != DONE)
        return await app.state.database.read.count(waiting) == 0

    await until(done)
    left = {getattr(row, column.key) for row in await app.state.database.read.all(select(model))}
    assert {row[column.key] for row in to_stay} <= left
    assert left.isdisjoint(row[column.key] for row in to_go)
