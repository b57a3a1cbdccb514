"""Forgotten passwords and unverified addresses: tokens that work once, expire, and are stored hashed. Promise 18."""

import asyncio
import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update

from app.auth.models import AccountToken, User
from app.core.database import utcnow
from app.core.jobs.outbox import OutboxJob
from app.main import create_app
from tests import factories
from tests.factories import PASSWORD, Actor, configured
from tests.mail_server import MailServer
from tests.waiting import until

AUTH = "/api/v1/auth"
NEW = "another password"
RESET, VERIFY = "Reset your password", "Verify your email address"


@pytest.fixture
async def user(app: FastAPI) -> Actor:
    """Whose address is not verified yet."""
    return await factories.newcomer(app)


async def token_for(office: MailServer, address: str, subject: str, number: int = 1) -> str:
    """The token in the so-manieth mail with that subject."""

    async def look() -> EmailMessage | None:
        found = [mail for mail in office.mails[address] if mail["Subject"] == subject]
        return found[number - 1] if len(found) >= number else None

    body = (await until(look)).get_body(("plain",))
    assert body
    match = re.search(r"The token for it: (\S+)", body.get_content())
    assert match
    return match[1]


async def forget(client: AsyncClient, address: str) -> None:
    answer = await client.post(f"{AUTH}/forgot-password", json={"email": address})
    assert (answer.status_code, answer.content) == (202, b"null")


async def reset(client: AsyncClient, token: str, password: str = NEW) -> int:
    return (await client.post(f"{AUTH}/reset-password", json={"token": token, "password": password})).status_code


async def verify(client: AsyncClient, token: str) -> int:
    return (await client.post(f"{AUTH}/verify-email", json={"token": token})).status_code


async def can_sign_in(client: AsyncClient, address: str, password: str) -> bool:
    answer = await client.post(f"{AUTH}/login", json={"email": address, "password": password})
    return answer.status_code == 200


async def test_a_forgotten_password_is_set_anew_once(client: AsyncClient, user: Actor, post_office: MailServer) -> None:
    await forget(client, user.email.upper())
    token = await token_for(post_office, user.email, RESET)
    assert await reset(client, token, "short") == 422  # the token is good for another try
    assert await reset(client, token) == 204
    assert not await can_sign_in(client, user.email, PASSWORD)
    assert await can_sign_in(client, user.email, NEW)
    assert (await user.http.get(f"{AUTH}/me")).status_code == 401  # every device is signed out
    assert await reset(client, token, "a third password") == 422
    assert await can_sign_in(client, user.email, NEW)


async def test_an_unknown_address_hears_and_costs_the_same(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    """The request does the same for both: it leaves a job. The account is looked up by the task."""
    for address in (user.email, "nobody@example.com"):
        await forget(client, address)
    jobs = await app.state.database.read.all(
        select(OutboxJob.arguments).where(OutboxJob.task == "auth.send_password_reset").order_by(OutboxJob.id)
    )
    assert [job.arguments for job in jobs] == [{"email": user.email}, {"email": "nobody@example.com"}]


async def test_no_mail_goes_to_whom_has_no_account(app: FastAPI, client: AsyncClient, post_office: MailServer) -> None:
    await forget(client, "stranger@example.com")

    async def done() -> bool:
        rows = select(OutboxJob).where(OutboxJob.task == "auth.send_password_reset", OutboxJob.state == "done")
        return await app.state.database.read.count(rows) == 1

    await until(done)
    assert post_office.mails["stranger@example.com"] == []


async def test_of_racing_uses_of_one_token_one_wins(client: AsyncClient, user: Actor, post_office: MailServer) -> None:
    await forget(client, user.email)
    token = await token_for(post_office, user.email, RESET)
    answers = await asyncio.gather(*(reset(client, token, f"password number {n}") for n in range(50)))
    assert sorted(answers) == [204] + [422] * 49
    winner = answers.index(204)
    assert await can_sign_in(client, user.email, f"password number {winner}")


async def test_only_the_newest_token_works(client: AsyncClient, user: Actor, post_office: MailServer) -> None:
    await forget(client, user.email)
    first = await token_for(post_office, user.email, RESET)
    await forget(client, user.email)
    second = await token_for(post_office, user.email, RESET, 2)
    assert await reset(client, first) == 422
    assert await reset(client, second) == 204


@pytest.mark.parametrize(
    "change",
    [
        {"account_tokens": {"expires_at": timedelta(0)}},
        {"users": {"is_active": False}},
        {"users": {"email": "moved@example.com"}},
        {"account_tokens": {"purpose": "verify"}},
    ],
    ids=str,
)
async def test_a_token_is_dead_when(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer, change: dict[str, dict[str, Any]]
) -> None:
    await forget(client, user.email)
    token = await token_for(post_office, user.email, RESET)
    async with app.state.database.sessions.begin() as db:
        for table, values in change.items():
            model = {"users": User, "account_tokens": AccountToken}[table]
            moments = {name: utcnow() + v if isinstance(v, timedelta) else v for name, v in values.items()}
            await db.execute(update(model).values(**moments))
    assert await reset(client, token) == 422
    async with app.state.database.sessions() as db:
        assert await db.scalar(select(User.hashed_password).where(User.id == user.id)) != NEW


async def test_an_account_that_is_deleted_takes_its_tokens_along(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer
) -> None:
    await forget(client, user.email)
    token = await token_for(post_office, user.email, RESET)
    assert (await user.http.request("DELETE", f"{AUTH}/me", json={"password": PASSWORD})).status_code == 204
    assert await reset(client, token) == 422
    assert await app.state.database.read.count(select(AccountToken)) == 0


async def test_tokens_are_stored_hashed_and_no_job_holds_them(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer
) -> None:
    await forget(client, user.email)
    token = await token_for(post_office, user.email, RESET)
    for model in (AccountToken, OutboxJob):
        assert token not in str([vars(row) for row in await app.state.database.read.all(select(model))])


async def test_registering_sends_a_mail_that_verifies_the_address(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer
) -> None:
    assert (await user.http.get(f"{AUTH}/me")).json()["email_verified_at"] is None
    token = await token_for(post_office, user.email, VERIFY)
    assert await reset(client, token) == 422  # it is good for nothing else
    assert await verify(client, token) == 204
    assert (await user.http.get(f"{AUTH}/me")).json()["email_verified_at"] is not None
    assert await verify(client, token) == 422
    assert (await user.http.post(f"{AUTH}/verify-email/resend")).status_code == 202
    jobs = select(OutboxJob).where(OutboxJob.task == "auth.send_verification")
    assert await app.state.database.read.count(jobs) == 1  # there was nothing to send


async def test_the_mail_is_sent_again(client: AsyncClient, user: Actor, post_office: MailServer) -> None:
    first = await token_for(post_office, user.email, VERIFY)
    assert (await user.http.post(f"{AUTH}/verify-email/resend")).status_code == 202
    second = await token_for(post_office, user.email, VERIFY, 2)
    assert [await verify(client, token) for token in (first, second)] == [422, 204]


async def test_a_changed_address_is_to_be_verified_anew_and_ends_the_other_sessions(
    app: FastAPI, client: AsyncClient, user: Actor, post_office: MailServer
) -> None:
    old = await token_for(post_office, user.email, VERIFY)
    assert await verify(client, old) == 204
    await forget(client, user.email)
    to_old_address = await token_for(post_office, user.email, RESET)
    elsewhere = factories.client(app, await factories.login(app, user.email))
    new = f"new-{user.email}"
    changed = await user.http.patch(f"{AUTH}/me", json={"email": new, "current_password": PASSWORD})
    assert (changed.status_code, changed.json()["email_verified_at"]) == (200, None)
    assert (await elsewhere.get(f"{AUTH}/me")).status_code == 401
    assert await reset(client, to_old_address) == 422
    assert await verify(client, await token_for(post_office, new, VERIFY)) == 204
    assert (await user.http.get(f"{AUTH}/me")).json()["email_verified_at"] is not None


async def test_whoever_resets_a_password_has_the_mailbox(
    client: AsyncClient, app: FastAPI, user: Actor, post_office: MailServer
) -> None:
    await forget(client, user.email)
    assert await reset(client, await token_for(post_office, user.email, RESET)) == 204
    http = factories.client(app, await factories.login(app, user.email, NEW))
    assert (await http.get(f"{AUTH}/me")).json()["email_verified_at"] is not None


async def test_an_unverified_account_may_only_look_after_itself(
    app: FastAPI, user: Actor, post_office: MailServer
) -> None:
    strict = create_app(app.state.settings.model_copy(update={"require_verified_email": True}))
    factories.share(strict, app)
    http = factories.client(strict, await factories.login(strict, user.email))
    refused = {"detail": "Not authorized: verify your email address first"}
    for method, url in (("GET", "/api/v1/items"), ("POST", "/api/v1/items"), ("GET", "/api/v1/users")):
        answer = await http.request(method, url, json={"title": "x"})
        assert (answer.status_code, answer.json()) == (403, refused)
    for url in (f"{AUTH}/me", f"{AUTH}/sessions"):
        assert (await http.get(url)).status_code == 200
    assert (await http.post(f"{AUTH}/verify-email/resend")).status_code == 202
    assert await verify(http, await token_for(post_office, user.email, VERIFY, 2)) == 204
    assert (await http.get("/api/v1/items")).status_code == 200


async def test_the_mails_link_to_the_website(app: FastAPI, user: Actor) -> None:
    """The token is in the link only."""
    from app.auth.tasks import send_password_reset
    from app.core.jobs import Job
    from tests.mail_server import mail_server

    with mail_server() as office:
        settings = app.state.settings.model_copy(
            update={"frontend_url": "https://app.example.com", "smtp_url": office.url}
        )
        async with app.state.database.sessions() as db:
            await send_password_reset.handler(Job("key", 1, db, app.state.database, settings), user.email)
        (mail,) = office.mails[user.email]
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body
        assert re.search(r"https://app\.example\.com/reset-password\?token=[\w-]{43}\b", body.get_content())
        assert "The token for it" not in body.get_content()


async def test_one_mailbox_gets_few_mails_however_often_it_is_asked_for(
    app: FastAPI, user: Actor, post_office: MailServer
) -> None:
    """Nobody fills another's; what is asked for too often hears the same, and leaves the last token alone."""
    limited = configured(app, rate_limit_enabled=True, rate_limit_auth="1000/minute")
    http = factories.client(limited, user.token)
    await token_for(post_office, user.email, VERIFY)
    for _ in range(3):
        assert (await http.post(f"{AUTH}/verify-email/resend")).status_code == 202
    for email in [user.email] * 5 + ["nobody@example.com"] * 7:
        answer = await http.post(f"{AUTH}/forgot-password", json={"email": email})
        assert (answer.status_code, answer.text) == (202, "null")
    for task, mails in {"send_verification": 1 + 3, "send_password_reset": 2 + 5}.items():
        jobs = select(OutboxJob).where(OutboxJob.task == f"auth.{task}")
        assert await app.state.database.read.count(jobs) == mails
