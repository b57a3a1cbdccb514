"""Refresh tokens rotate: one winner, and a used one ends its session, in the database. Promises 14 and 15."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update

from app.auth.models import AuthSession, RefreshToken, User
from app.core.database import utcnow
from tests import factories
from tests.factories import PASSWORD, Actor

AUTH = "/api/v1/auth"


async def sign_in(client: AsyncClient, email: str) -> dict[str, Any]:
    answer = await client.post(f"{AUTH}/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    return answer.json()


async def refresh(client: AsyncClient, token: str) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"{AUTH}/refresh", json={"refresh_token": token})
    return answer.status_code, answer.json()


async def is_signed_in(app: FastAPI, tokens: dict[str, Any]) -> bool:
    answer = await factories.client(app, tokens["access_token"]).get(f"{AUTH}/me")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


async def test_new_tokens_for_old_in_the_same_session(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    first = await sign_in(client, user.email)
    (before,) = [row for row in (await sessions(app, first)) if row["is_current"]]
    status, second = await refresh(client, first["refresh_token"])
    assert (status, set(second)) == (200, {"access_token", "token_type", "expires_in", "refresh_token"})
    assert second["refresh_token"] != first["refresh_token"]
    assert await is_signed_in(app, second)
    (after,) = [row for row in (await sessions(app, second)) if row["is_current"]]
    assert after["last_used_at"] > before["last_used_at"]
    assert {**after, "last_used_at": None, "user_agent": None} == {**before, "last_used_at": None, "user_agent": None}
    assert (await refresh(client, second["refresh_token"]))[0] == 200


async def sessions(app: FastAPI, tokens: dict[str, Any]) -> list[dict[str, Any]]:
    return (await factories.client(app, tokens["access_token"]).get(f"{AUTH}/sessions")).json()


async def test_a_used_token_ends_its_session_though_the_answer_is_an_error(
    app: FastAPI, client: AsyncClient, user: Actor
) -> None:
    first = await sign_in(client, user.email)
    _, second = await refresh(client, first["refresh_token"])
    status, body = await refresh(client, first["refresh_token"])
    assert (status, body) == (401, {"detail": "Invalid or expired refresh token"})
    assert not await is_signed_in(app, second)
    assert not await is_signed_in(app, first)
    assert (await refresh(client, second["refresh_token"]))[0] == 401
    assert (await user.http.get(f"{AUTH}/me")).status_code == 200  # the other device stays
    assert await app.state.database.read.count(select(AuthSession)) == 1


async def test_of_racing_refreshes_one_wins_and_stays(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    tokens = await sign_in(client, user.email)
    answers = await asyncio.gather(*(refresh(client, tokens["refresh_token"]) for _ in range(50)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 49
    unused = select(RefreshToken).join(AuthSession).where(RefreshToken.used_at.is_(None))
    assert await app.state.database.read.count(unused) <= 2  # the winner's and the other device's


async def test_who_came_before_the_token_was_used_lost_a_race_and_no_session(
    app: FastAPI, client: AsyncClient, user: Actor
) -> None:
    """As if the winner had committed while this request waited."""
    tokens = await sign_in(client, user.email)
    _, second = await refresh(client, tokens["refresh_token"])
    async with app.state.database.sessions.begin() as db:
        later = utcnow() + timedelta(seconds=30)
        await db.execute(update(RefreshToken).where(RefreshToken.used_at.is_not(None)).values(used_at=later))
    assert (await refresh(client, tokens["refresh_token"]))[0] == 401
    assert await is_signed_in(app, second)


async def test_neither_token_is_the_other(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    tokens = await sign_in(client, user.email)
    assert (await refresh(client, tokens["access_token"][:200]))[0] == 401
    assert (await refresh(client, tokens["access_token"]))[0] in (401, 422)
    assert not await is_signed_in(app, {"access_token": tokens["refresh_token"]})


@pytest.mark.parametrize("token", ["x", "\u00e9" * 43, "' OR 1=1 --", " "])
async def test_what_is_no_refresh_token_is_401(client: AsyncClient, token: str) -> None:
    assert (await refresh(client, token))[0] == 401


async def test_an_ended_session_is_not_refreshed(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    async def end(**ways: Any) -> int:
        tokens = await sign_in(client, user.email)
        async with app.state.database.sessions.begin() as db:
            for model, values in ways.items():
                await db.execute(update({"user": User, "session": AuthSession}[model]).values(**values))
        return (await refresh(client, tokens["refresh_token"]))[0]

    assert await end(session={"expires_at": utcnow()}) == 401
    assert await end(session={"last_used_at": utcnow() - timedelta(days=14)}) == 401
    assert await end(session={"last_used_at": utcnow() - timedelta(days=14) + timedelta(minutes=1)}) == 200
    assert await end(user={"is_active": False}) == 401


async def test_a_changed_password_ends_the_others_refreshing(client: AsyncClient, user: Actor) -> None:
    elsewhere = await sign_in(client, user.email)
    body = {"current_password": PASSWORD, "password": "another password"}
    assert (await user.http.patch(f"{AUTH}/me", json=body)).status_code == 200
    assert (await refresh(client, elsewhere["refresh_token"]))[0] == 401


async def test_no_token_is_stored_as_it_is(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    tokens = await sign_in(client, user.email)
    rows = await app.state.database.read.all(select(RefreshToken))
    assert [len(row.token_hash) for row in rows] == [64]
    assert tokens["refresh_token"] not in [row.token_hash for row in rows]


async def test_an_access_token_outlives_a_refresh_until_it_expires(
    app: FastAPI, client: AsyncClient, user: Actor
) -> None:
    """Its session lives; what a refresh ends is the refresh token."""
    first = await sign_in(client, user.email)
    await refresh(client, first["refresh_token"])
    assert await is_signed_in(app, first)
