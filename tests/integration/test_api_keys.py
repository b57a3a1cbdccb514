"""API keys over HTTP: shown once, stored hashed, scoped, limited, revoked at once; promises 16 and 32."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import insert, select, update

from app.api_keys.dependencies import MAX_KEYS
from app.api_keys.models import ApiKey, new_key
from app.api_keys.tasks import KEEP_EXPIRED, delete_expired_keys
from app.api_keys.uses import BATCH, MAX_REMEMBERED, KeyUses, writing_uses
from app.auth.dependencies import Identity, signed_in_user
from app.auth.models import User
from app.core.database import utcnow
from app.core.http.idempotency import IdempotencyKey
from app.core.jobs import enqueue
from app.core.jobs.outbox import DONE, OutboxJob
from app.core.observability.setup import configure_logging
from app.core.security import hash_token
from app.main import create_app
from tests import factories
from tests.factories import PASSWORD, Actor
from tests.integration.test_mail import mail_to, text
from tests.integration.test_recovery import RESET, token_for
from tests.mail_server import MailServer
from tests.statements import statements
from tests.waiting import until

KEYS = "/api/v1/api-keys"
ME = "/api/v1/auth/me"
ITEMS = "/api/v1/items"
SHOWN = {"id", "user_id", "name", "scope", "prefix", "created_at", "expires_at", "last_used_at"}


async def using(actor: Actor, **values: Any) -> AsyncClient:
    """A client that has a new key of the actor's, and no session."""
    return factories.client(actor.app, (await factories.key(actor, **values))["key"])


async def stored(app: FastAPI, key_id: int) -> Any:
    return await app.state.database.read.one(select(ApiKey).where(ApiKey.id == key_id))


async def test_a_key_is_shown_once_and_stored_hashed(app: FastAPI, user: Actor) -> None:
    made = await user.http.post(KEYS, json={"name": "Backups"})
    assert made.status_code == 201
    shown = made.json()
    key = shown.pop("key")
    assert re.fullmatch(r"gw_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", key)
    assert key.startswith(f"gw_{shown['prefix']}_")
    assert set(shown) == SHOWN
    assert (shown["scope"], shown["expires_at"], shown["last_used_at"]) == ("read", None, None)
    row = await stored(app, shown["id"])
    assert row.key_hash == hash_token(key)
    assert key[20:] not in str(vars(row))
    one, listed = await user.http.get(f"{KEYS}/{shown['id']}"), await user.http.get(KEYS)
    assert one.json() == shown
    assert listed.json() == [shown]


async def test_a_key_is_its_user(app: FastAPI, user: Actor) -> None:
    mine = await factories.item(user)
    http = await using(user, scope="write")
    assert (await http.get(ME)).json()["id"] == user.id
    assert (await http.get(f"{ITEMS}/{mine['id']}")).json() == mine
    made = await http.post(ITEMS, json={"title": "By a key"})
    assert made.json()["user_id"] == user.id
    theirs = await factories.item(await factories.user(app))
    assert (await http.get(f"{ITEMS}/{theirs['id']}")).status_code == 403
    assert (await http.get("/api/v1/users")).status_code == 403


async def test_a_superusers_key_is_a_superuser_within_its_scope(superuser: Actor, user: Actor) -> None:
    reading, writing = await using(superuser), await using(superuser, scope="write")
    assert (await reading.get(f"/api/v1/users/{user.id}")).status_code == 200
    assert (await reading.delete(f"/api/v1/users/{user.id}")).status_code == 403
    assert (await writing.delete(f"/api/v1/users/{user.id}")).status_code == 204


async def test_a_key_that_may_only_read_gets_no_stored_answer(user: Actor) -> None:
    headers = {"Idempotency-Key": "once"}
    await user.http.post(ITEMS, json={"title": "x"}, headers=headers)
    reading, writing = await using(user), await using(user, scope="write")
    refused = await reading.post(ITEMS, json={"title": "x"}, headers=headers)
    assert (refused.status_code, refused.json()) == (403, {"detail": "Not authorized: the key may only read"})
    assert (await writing.post(ITEMS, json={"title": "x"}, headers=headers)).status_code == 201
    assert len((await user.http.get(ITEMS)).json()) == 1


async def test_a_key_does_not_manage_the_account(user: Actor) -> None:
    """Every such route is tried by the conformance suite; these have to be among them."""
    http = await using(user, scope="write")
    for method, url, body in [
        ("PATCH", ME, {"email": "new@example.com", "current_password": PASSWORD}),
        ("DELETE", ME, {"password": PASSWORD}),
        ("POST", "/api/v1/auth/logout", None),
        ("POST", "/api/v1/auth/verify-email/resend", None),
        ("GET", "/api/v1/auth/sessions", None),
        ("DELETE", "/api/v1/auth/sessions", None),
        ("DELETE", f"/api/v1/auth/sessions/{uuid4()}", None),
        ("POST", KEYS, {"name": "Another", "scope": "write"}),
        ("GET", KEYS, None),
        ("DELETE", f"{KEYS}/1", None),
    ]:
        response = await http.request(method, url, json=body)
        assert response.status_code == 403, f"{method} {url}"
        assert response.json()["detail"] == "Not authorized: this needs a signed-in session, not an API key"


async def test_a_revoked_key_is_dead_at_once(app: FastAPI, user: Actor, other: Actor) -> None:
    key = await factories.key(user)
    http, url = factories.client(app, key["key"]), f"{KEYS}/{key['id']}"
    assert (await http.get(ME)).status_code == 200
    assert (await other.http.delete(url)).status_code == 403
    assert (await user.http.delete(url, headers={"If-Match": '"stale"'})).status_code == 412
    assert (await http.get(ME)).status_code == 200
    assert (await user.http.delete(url)).status_code == 204
    gone = await http.get(ME)
    assert (gone.status_code, gone.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert gone.json() == {"detail": "Invalid, expired or revoked API key"}
    assert (await user.http.delete(url)).status_code == 404


async def test_an_expired_key_is_dead(app: FastAPI, user: Actor) -> None:
    key = await factories.key(user, expires_at=(utcnow() + timedelta(hours=1)).isoformat())
    http = factories.client(app, key["key"])
    assert (await http.get(ME)).status_code == 200
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(ApiKey).values(expires_at=utcnow()))
    assert (await http.get(ME)).status_code == 401


@pytest.mark.parametrize("wanted", [timedelta(0), timedelta(days=-1), timedelta(days=367)])
async def test_an_expiry_is_in_the_future_and_within_a_year(user: Actor, wanted: timedelta) -> None:
    response = await user.http.post(KEYS, json={"name": "x", "expires_at": (utcnow() + wanted).isoformat()})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "expires_at"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "x", "scope": "admin"}])
async def test_what_is_no_key_to_make_is_refused(user: Actor, body: dict[str, Any]) -> None:
    assert (await user.http.post(KEYS, json=body)).status_code == 422


async def test_a_deactivated_users_keys_are_dead_and_stay_so(superuser: Actor, user: Actor) -> None:
    http, url = await using(user), f"/api/v1/users/{user.id}"
    assert (await superuser.http.patch(url, json={"is_active": False})).status_code == 200
    assert (await http.get(ME)).status_code == 401
    assert (await superuser.http.patch(url, json={"is_active": True})).status_code == 200
    assert (await http.get(ME)).status_code == 401


async def test_a_key_asks_each_time_whether_its_user_is_active(app: FastAPI, user: Actor) -> None:
    http = await using(user)
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == user.id).values(is_active=False))
    assert (await http.get(ME)).status_code == 401


async def test_keys_go_with_their_account(app: FastAPI, user: Actor) -> None:
    http = await using(user)
    assert (await user.http.request("DELETE", ME, json={"password": PASSWORD})).status_code == 204
    assert (await http.get(ME)).status_code == 401
    assert await app.state.database.read.all(select(ApiKey)) == []


async def test_keys_survive_a_change_of_password(user: Actor) -> None:
    http = await using(user)
    body = {"password": "another password", "current_password": PASSWORD}
    assert (await user.http.patch(ME, json=body)).status_code == 200
    assert (await http.get(ME)).status_code == 200


async def test_a_reset_password_revokes_the_keys(client: AsyncClient, user: Actor, post_office: MailServer) -> None:
    """Whoever registered somebody else's address must not keep a key when its owner takes the account."""
    http = await using(user)
    await client.post("/api/v1/auth/forgot-password", json={"email": user.email})
    token = await token_for(post_office, user.email, RESET)
    body = {"token": token, "password": "another password"}
    assert (await client.post("/api/v1/auth/reset-password", json=body)).status_code == 204
    assert (await http.get(ME)).status_code == 401


async def test_an_unverified_address_has_no_keys_where_it_is_wanted(app: FastAPI) -> None:
    user = await factories.newcomer(app)
    key = await factories.key(user, scope="write")
    strict = create_app(app.state.settings.model_copy(update={"require_verified_email": True}))
    factories.share(strict, app)
    by_session, by_key = factories.client(strict, user.token), factories.client(strict, key["key"])
    for response in (await by_session.post(KEYS, json={"name": "x"}), await by_key.get(ITEMS)):
        assert response.status_code == 403
        assert "verify your email" in response.json()["detail"]
    assert (await by_session.delete(f"{KEYS}/{key['id']}")).status_code == 204


async def test_keys_are_in_the_audit_trail(superuser: Actor, user: Actor) -> None:
    key = await factories.key(user, scope="write")
    assert (await superuser.http.delete(f"{KEYS}/{key['id']}")).status_code == 204
    revoked, made, *_ = (await superuser.http.get("/api/v1/audit", params={"user_id": user.id})).json()
    assert (made["event"], made["details"]) == ("api_key_made", {"key_id": key["id"], "scope": "write"})
    assert made["session_id"] is not None
    assert (revoked["event"], revoked["actor_id"]) == ("api_key_revoked", superuser.id)
    assert revoked["details"] == {"key_id": key["id"]}


async def test_a_session_that_ended_meanwhile_leaves_no_key_behind(app: FastAPI, user: Actor) -> None:
    """It was alive when the request was let in, and is signed out before the key is made."""
    stale = create_app(app.state.settings)
    factories.share(stale, app)

    async def let_in() -> Identity:
        return Identity(user.id, user.email, True, False, utcnow(), None, uuid4())

    stale.dependency_overrides[signed_in_user] = let_in
    assert (await factories.client(stale, user.token).post(KEYS, json={"name": "x"})).status_code == 401
    assert await app.state.database.read.all(select(ApiKey)) == []


async def test_of_racing_posts_no_more_than_the_limit_make_a_key(app: FastAPI, user: Actor) -> None:
    room = 7
    rows = [{"user_id": user.id, "name": "x", "scope": "read", "key_hash": ""} for _ in range(MAX_KEYS - room)]
    async with app.state.database.sessions.begin() as db:
        await db.execute(insert(ApiKey), [row | {"prefix": uuid4().hex[:16]} for row in rows])
    answers = await asyncio.gather(*(user.http.post(KEYS, json={"name": "x"}) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: room, 409: 50 - room}
    assert await app.state.database.read.count(select(ApiKey)) == MAX_KEYS
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "no more are allowed" in refused.json()["detail"]


HOSTILE: dict[str, Callable[[str], str | bytes]] = {
    "nothing": lambda _: "gw_",
    "two marks": lambda _: "gw__",
    "too short": lambda _: "gw_x_y",
    "cut": lambda key: key[:-1],
    "longer": lambda key: f"{key}A",
    "twice": lambda key: f"{key}{key}",
    "with NUL": lambda key: f"{key}\0",
    "NUL within": lambda key: f"{key[:30]}\0{key[31:]}",
    "a tab within": lambda key: f"{key[:30]}\t{key[30:]}",
    "10,000 characters": lambda _: "gw_" + "a" * 10_000,
    "a long prefix": lambda key: "gw_" + "a" * 10_000 + key[19:],
    "unicode": lambda key: f"{key[:-1]}\u00e9".encode(),
    "digits of another script": lambda key: f"gw_{chr(0x661) * 16}{key[19:]}".encode(),
    "invalid UTF-8": lambda key: key[:-1].encode() + b"\xff",
    "an unknown prefix": lambda key: f"gw_{'0' * 16}{key[19:]}",
    "a wrong secret": lambda key: key[:20] + "A" * 43,
    "one wrong character": lambda key: key[:30] + ("A" if key[30] != "A" else "B") + key[31:],
    "upper case": lambda key: key.upper(),
    "lower case": lambda key: key.lower() if key != key.lower() else key[:-1],
    "its prefix in upper case": lambda key: f"gw_ABCDEF{key[9:]}",
    "another mark": lambda key: f"GW{key[2:]}",
    "a wildcard": lambda key: f"gw_{'%' * 16}{key[19:]}",
    "its hash": hash_token,
    "its prefix and hash": lambda key: key[:20] + hash_token(key)[:43],
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_what_is_no_living_key_is_401(client: AsyncClient, user: Actor, kind: str) -> None:
    key = (await factories.key(user, scope="write"))["key"]
    token = HOSTILE[kind](key)
    header = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
    for method, url in [("GET", ME), ("POST", ITEMS)]:
        response = await client.request(
            method, url, headers=factories.header("Authorization", header), json={"title": "x"}
        )
        assert response.status_code == 401, f"{method} {url}: {response.status_code}"
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert key[20:] not in response.text


async def test_anothers_prefix_with_ones_own_secret_is_nobody(app: FastAPI, user: Actor, other: Actor) -> None:
    mine, theirs = (await factories.key(user))["key"], (await factories.key(other))["key"]
    assert (await factories.client(app, theirs[:20] + mine[20:]).get(ME)).status_code == 401


async def test_the_answer_that_shows_a_key_is_not_stored(app: FastAPI, user: Actor) -> None:
    headers = {"Idempotency-Key": "once"}
    await user.http.post(ITEMS, json={"title": "x"}, headers=headers)
    for _ in range(2):  # nor is the header looked at: it is another route's, and would be 422
        assert (await user.http.post(KEYS, json={"name": "x"}, headers=headers)).status_code == 201
    (row,) = await app.state.database.read.all(select(IdempotencyKey))
    assert "gw_" not in row.body
    operation = app.openapi()["paths"][KEYS]["post"]
    assert "parameters" not in operation


async def test_a_key_is_found_in_one_query(app: FastAPI, user: Actor) -> None:
    prefix, key = new_key()
    async with app.state.database.sessions.begin() as db:
        db.add(ApiKey(user_id=user.id, name="x", scope="read", prefix=prefix, key_hash=hash_token(key)))
    with statements(app) as seen:
        assert (await factories.client(app, key).get(ME)).status_code == 200
        assert (await factories.client(app, f"{key}x").get(ME)).status_code == 401
    (statement,) = [statement for statement in seen if "api_keys" in statement]  # only what has its form
    assert statement.startswith("SELECT")


async def test_a_last_use_is_written_once_however_often_a_key_is_used(app: FastAPI, user: Actor) -> None:
    key, unused = await factories.key(user), await factories.key(user)
    quiet = create_app(app.state.settings)  # it has not started: nothing is written by itself
    factories.share(quiet, app)
    http, before = factories.client(quiet, key["key"]), utcnow()
    with statements(app) as seen:
        for _ in range(20):
            assert (await http.get(ITEMS)).status_code == 200
        assert [statement for statement in seen if "UPDATE api_keys" in statement] == []
        await quiet.state.key_uses.write(app.state.database)
        await quiet.state.key_uses.write(app.state.database)
    assert len([statement for statement in seen if statement.startswith("UPDATE api_keys")]) == 1
    shown = (await user.http.get(f"{KEYS}/{key['id']}")).json()
    assert before < datetime.fromisoformat(shown["last_used_at"]) < utcnow()
    assert (await user.http.get(f"{KEYS}/{unused['id']}")).json()["last_used_at"] is None


async def test_a_use_that_is_noted_late_is_not_the_last(app: FastAPI, user: Actor) -> None:
    """Another process has written a later one."""
    key, later = await factories.key(user), utcnow() + timedelta(minutes=1)
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(ApiKey).values(last_used_at=later))
    await factories.client(app, key["key"]).get(ME)
    await app.state.key_uses.write(app.state.database)
    assert (await stored(app, key["id"])).last_used_at == later


async def test_a_request_does_not_wait_for_its_use_to_be_written(empty_database: str) -> None:
    app = create_app(factories.settings(database_url=empty_database))
    uses, database = app.state.key_uses, app.state.database
    async with app.router.lifespan_context(app):
        key = await factories.key(await factories.user(app))
        http = factories.client(app, key["key"])
        async with database.sessions.begin() as db:  # on SQLite nobody else writes meanwhile
            await db.execute(update(ApiKey).values(name="locked"))
            await http.get(ME)
            writing = asyncio.create_task(uses.write(database))
            await asyncio.sleep(0)  # it has begun: what comes now is for the next time
            async with asyncio.timeout(5):
                for _ in range(5):
                    assert (await http.get(ME)).status_code == 200
            assert not writing.done()
        await writing
        assert (await stored(app, key["id"])).last_used_at is not None
        assert len(uses) == 1, "the uses since are written the next time"


async def test_uses_are_written_regularly_and_at_the_end(app: FastAPI, user: Actor) -> None:
    uses, (first, second) = KeyUses(), [(await factories.key(user))["id"] for _ in range(2)]

    async def is_written() -> bool:
        return (await stored(app, first)).last_used_at is not None

    async with writing_uses(uses, app.state.database, every_s=0.01):
        uses.note(first)
        await until(is_written)
    async with writing_uses(uses, app.state.database, every_s=3600):
        uses.note(second)
    assert (await stored(app, second)).last_used_at is not None


async def test_uses_that_cannot_be_written_wait_for_the_next_time(
    app: FastAPI, user: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    key_id, uses = (await factories.key(user))["id"], KeyUses()
    away = create_app(app.state.settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"}))
    uses.note(key_id)
    async with writing_uses(uses, away.state.database, every_s=3600):
        pass
    assert "cannot be written now" in caplog.text
    assert len(uses) == 1
    await uses.write(app.state.database)
    assert (await stored(app, key_id)).last_used_at is not None
    assert len(uses) == 0


async def test_only_so_many_uses_are_remembered(app: FastAPI) -> None:
    uses = KeyUses()
    for key_id in range(1, MAX_REMEMBERED + 10):
        uses.note(key_id)
    uses.note(1)
    assert len(uses) == MAX_REMEMBERED
    with statements(app) as seen:
        await uses.write(app.state.database)  # the keys have been revoked meanwhile
    assert len([statement for statement in seen if statement.startswith("UPDATE api_keys")]) == MAX_REMEMBERED // BATCH
    assert len(uses) == 0


async def test_the_application_writes_its_uses_when_it_ends(empty_database: str) -> None:
    app = create_app(factories.settings(database_url=empty_database))
    async with app.router.lifespan_context(app):
        key = await factories.key(await factories.user(app))
        assert (await factories.client(app, key["key"]).get(ME)).status_code == 200
    again = create_app(factories.settings(database_url=empty_database))
    async with again.router.lifespan_context(again):
        assert (await stored(again, key["id"])).last_used_at is not None


async def test_expired_keys_are_deleted_some_time_later(app: FastAPI, user: Actor) -> None:
    a_moment = timedelta(minutes=1)
    ends = {
        "old": utcnow() - KEEP_EXPIRED - a_moment,
        "expired": utcnow() - KEEP_EXPIRED + a_moment,
        "living": utcnow() + a_moment,
        "for ever": None,
    }
    row = {"user_id": user.id, "scope": "read", "key_hash": ""}
    rows = [row | {"name": name, "prefix": uuid4().hex[:16], "expires_at": end} for name, end in ends.items()]
    async with app.state.database.sessions.begin() as db:
        await db.execute(insert(ApiKey), rows)
        enqueue(db, delete_expired_keys)

    async def is_done() -> bool:
        # The application's own run of the task may be there too, and done before this one.
        waiting = select(OutboxJob).where(OutboxJob.task == delete_expired_keys.name, OutboxJob.state != DONE)
        return await app.state.database.read.count(waiting) == 0

    await until(is_done)
    left = await app.state.database.read.all(select(ApiKey.name))
    assert {row.name for row in left} == {"expired", "living", "for ever"}


async def test_whoever_has_the_account_hears_of_a_new_key(user: Actor, post_office: MailServer) -> None:
    key = await factories.key(user, name="https://evil.example", scope="write")
    mail = await mail_to(post_office, user.email, "An API key of your account was made")
    for kind in ("plain", "html"):
        assert f"gw_{key['prefix']}" in text(mail, kind)
        assert "may write" in text(mail, kind)
    assert "evil.example" not in mail.as_string(), "another's address could have been registered to say this"
    assert key["key"][20:] not in mail.as_string()


async def test_a_key_is_in_no_log_line_and_no_error(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    settings = app.state.settings.model_copy(update={"log_level": "DEBUG", "debug": True})
    loud = create_app(settings)
    loud.state.hasher = app.state.hasher
    try:
        user = await factories.user(loud)
        key = (await factories.key(user))["key"]
        wrong = key[:20] + "A" * 43
        answers = [await factories.client(loud, token).get(ME) for token in (key, wrong, f"{key}x")]
        answers += [await user.http.get(KEYS), await factories.client(loud, key).post(ITEMS, json={"title": 1})]
        await loud.state.key_uses.write(loud.state.database)
    finally:
        await factories.close(loud)
        logged = capsys.readouterr().err
        configure_logging(factories.settings())
        for name in ("sqlalchemy.engine.Engine", "sqlalchemy.pool"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert "INSERT INTO api_keys" in logged
    assert "UPDATE api_keys" in logged
    for told in (logged, *(answer.text for answer in answers)):
        for secret in (key[20:], wrong[20:], hash_token(key), hash_token(wrong), user.token):
            assert secret not in told


async def test_keys_are_listed_by_whom_they_belong_to(user: Actor, other: Actor, superuser: Actor) -> None:
    mine, theirs = await factories.key(user, name="Mine"), await factories.key(other, name="Theirs", scope="write")
    assert [key["id"] for key in (await user.http.get(KEYS)).json()] == [mine["id"]]
    assert {key["id"] for key in (await superuser.http.get(KEYS)).json()} == {mine["id"], theirs["id"]}
    narrowed = await superuser.http.get(f"{KEYS}?user_id={other.id}&scope=write&q=their&sort=-last_used_at&count=true")
    assert [key["id"] for key in narrowed.json()] == [theirs["id"]]
    assert (await superuser.http.get(f"{KEYS}/{mine['id']}")).status_code == 200
    assert (await user.http.get(f"{KEYS}/{theirs['id']}")).status_code == 403
    assert (await superuser.http.delete(f"{KEYS}/{mine['id']}")).status_code == 204
    assert datetime.fromisoformat(mine["created_at"]).tzinfo == UTC
