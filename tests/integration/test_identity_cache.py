"""Who is signed in is remembered, and forgotten at once where it is changed; promise 16."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, update

from app.auth.models import AuthSession, User
from app.core.database import Reader, utcnow
from app.main import create_app
from tests import factories
from tests.factories import PASSWORD, Actor
from tests.integration.test_recovery import RESET, forget, reset, token_for
from tests.mail_server import MailServer
from tests.statements import statements
from tests.waiting import until

ME = "/api/v1/auth/me"
LONG_S = 600  # nothing in these tests may hang on its being over


@pytest.fixture
async def app(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """An application that remembers everybody for long."""
    monkeypatch.setattr(app.state.identities, "_seconds", LONG_S)
    return app


async def is_out(http: AsyncClient) -> bool:
    return (await http.get(ME)).status_code == 401


@pytest.mark.parametrize("kind", ["session", "key"])
async def test_a_remembered_user_costs_no_query(app: FastAPI, user: Actor, kind: str) -> None:
    http = user.http if kind == "session" else factories.client(app, (await factories.key(user))["key"])
    with statements(app) as seen:
        assert (await http.get("/api/v1/items")).status_code == 200
        assert len([statement for statement in seen if "users" in statement]) == 1
    for path, expected in ((ME, 0), ("/api/v1/items", 1)):
        with statements(app) as seen:
            assert (await http.get(path)).status_code == 200
            assert len(seen) == expected


async def _log_out(user: Actor, _: Actor) -> None:
    assert (await user.http.post("/api/v1/auth/logout")).status_code == 204


async def _sign_all_out(user: Actor, _: Actor) -> None:
    assert (await user.http.delete("/api/v1/auth/sessions")).status_code == 204


async def _change_password_elsewhere(user: Actor, _: Actor) -> None:
    http = factories.client(user.app, await factories.login(user.app, user.email))
    body = {"current_password": PASSWORD, "password": "another horse battery"}
    assert (await http.patch(ME, json=body)).status_code == 200
    assert not await is_out(http)


async def _delete(user: Actor, _: Actor) -> None:
    assert (await user.http.request("DELETE", ME, json={"password": PASSWORD})).status_code == 204


async def _deactivate(user: Actor, superuser: Actor) -> None:
    assert (await superuser.http.patch(f"/api/v1/users/{user.id}", json={"is_active": False})).status_code == 200


async def _be_deleted(user: Actor, superuser: Actor) -> None:
    assert (await superuser.http.delete(f"/api/v1/users/{user.id}")).status_code == 204


async def _be_signed_out(user: Actor, superuser: Actor) -> None:
    assert (await superuser.http.delete(f"/api/v1/users/{user.id}/sessions")).status_code == 204


async def _sign_one_out(user: Actor, _: Actor) -> None:
    http = factories.client(user.app, await factories.login(user.app, user.email))
    sessions = (await http.get("/api/v1/auth/sessions")).json()
    other = next(session["id"] for session in sessions if not session["is_current"])
    assert (await http.delete(f"/api/v1/auth/sessions/{other}")).status_code == 204
    assert not await is_out(http)


ENDS = [
    _log_out,
    _sign_all_out,
    _sign_one_out,
    _change_password_elsewhere,
    _delete,
    _deactivate,
    _be_deleted,
    _be_signed_out,
]


@pytest.mark.parametrize("end", ENDS)
async def test_what_ends_a_session_is_in_force_at_the_next_request(
    user: Actor, superuser: Actor, end: Callable[[Actor, Actor], Awaitable[None]]
) -> None:
    assert not await is_out(user.http)
    await end(user, superuser)
    assert await is_out(user.http)


async def test_a_reset_password_ends_sessions_and_keys(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer
) -> None:
    with_key = factories.client(app, (await factories.key(user))["key"])
    await forget(client, user.email)
    token = await token_for(post_office, user.email, RESET)
    assert not await is_out(user.http)
    assert not await is_out(with_key)
    assert await reset(client, token) == 204
    assert await is_out(user.http)
    assert await is_out(with_key)


async def test_a_refresh_token_that_is_used_again_ends_its_session(app: FastAPI, client: AsyncClient) -> None:
    body = {"email": (await factories.register(app))["email"], "password": PASSWORD}
    tokens = (await client.post("/api/v1/auth/login", json=body)).json()
    http, used = factories.client(app, tokens["access_token"]), {"refresh_token": tokens["refresh_token"]}
    assert (await client.post("/api/v1/auth/refresh", json=used)).status_code == 200
    assert not await is_out(http)
    assert (await client.post("/api/v1/auth/refresh", json=used)).status_code == 401
    assert await is_out(http)


async def test_a_remembered_key_is_dead_when_it_is_revoked(app: FastAPI, user: Actor) -> None:
    key = await factories.key(user)
    http = factories.client(app, key["key"])
    assert not await is_out(http)
    assert (await user.http.delete(f"/api/v1/api-keys/{key['id']}")).status_code == 204
    assert await is_out(http)


async def test_a_superuser_is_one_until_the_next_request_only(user: Actor, superuser: Actor) -> None:
    for is_superuser, expected in ((True, 200), (False, 403)):
        await user.http.get(ME)  # so that what was before is remembered
        changed = await superuser.http.patch(f"/api/v1/users/{user.id}", json={"is_superuser": is_superuser})
        assert changed.status_code == 200
        assert (await user.http.get("/api/v1/users")).status_code == expected


async def test_a_remembered_key_goes_no_further_than_its_scope(app: FastAPI, user: Actor) -> None:
    http = factories.client(app, (await factories.key(user, scope="read"))["key"])
    assert not await is_out(http)
    assert (await http.post("/api/v1/items", json={"title": "No"})).status_code == 403
    assert (await http.delete("/api/v1/auth/sessions")).status_code == 403


async def test_a_change_that_is_rolled_back_forgets_nobody(app: FastAPI, user: Actor) -> None:
    await user.http.get(ME)
    async with app.state.database.sessions() as db:
        await db.execute(delete(AuthSession))
        await db.rollback()
    with statements(app) as seen:
        assert not await is_out(user.http)
        assert seen == []


async def test_signing_in_forgets_nobody(app: FastAPI, user: Actor, other: Actor) -> None:
    await user.http.get(ME)
    await factories.login(app, other.email)
    await factories.login(app, user.email)
    with statements(app) as seen:
        assert not await is_out(user.http)
        assert seen == []


async def test_who_was_being_looked_up_while_it_changed_is_not_remembered(
    app: FastAPI, user: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was right when the database gave it, and is old when it comes."""
    one, has_read, may_go_on = Reader.one, asyncio.Event(), asyncio.Event()

    async def slow(self: Reader, statement: Any, **values: Any) -> Any:
        row = await one(self, statement, **values)
        if "auth_sessions" in str(statement):  # and no job's
            has_read.set()
            await may_go_on.wait()
        return row

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "one", slow)
        in_flight = asyncio.create_task(user.http.get(ME))
        await has_read.wait()
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == user.id).values(is_active=False))
    may_go_on.set()
    assert (await in_flight).status_code == 200  # it began before
    assert await is_out(user.http)


async def test_a_token_is_not_remembered_beyond_its_own_end(app: FastAPI, user: Actor) -> None:
    now, minutes = utcnow(), timedelta(minutes=1)
    key = await factories.key(user, expires_at=(now + 10 * minutes).isoformat())
    for token, minute in ((user.token, 30), (key["key"], 10)):
        assert not await is_out(factories.client(app, token))
        assert app.state.identities.find(token, now + (minute - 1) * minutes) is not None
        assert app.state.identities.find(token, now + (minute + 1) * minutes) is None
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(AuthSession).values(expires_at=now + 5 * minutes))
    assert not await is_out(user.http)
    assert app.state.identities.find(user.token, now + 4 * minutes) is not None
    assert app.state.identities.find(user.token, now + 5 * minutes) is None


@pytest.mark.parametrize("seconds", [0, 1])
async def test_another_process_hears_nothing_and_is_late_by_the_seconds_at_most(
    app: FastAPI, user: Actor, seconds: int
) -> None:
    """Another application has a cache of its own, and no word of this one's changes."""
    other = create_app(app.state.settings.model_copy(update={"identity_cache_seconds": seconds}))
    there = factories.client(other, user.token)
    assert not await is_out(there)
    await _log_out(user, user)
    if seconds == 0:
        assert await is_out(there)
    await until(lambda: is_out(there))
    assert len(other.state.identities) == 0 or other.state.identities.find(user.token, utcnow()) is None
    await factories.close(other)


async def test_it_holds_no_more_than_it_may(app: FastAPI, user: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.auth.identity_cache.MAX_REMEMBERED", 10)
    identities = app.state.identities
    for number in range(25):
        identities.begin().keep(f"token {number}", user, None)
        assert len(identities) <= 10
    assert identities.find("token 24", utcnow()) is user
