"""Accounts, sessions and tokens over HTTP; promises 6, 8, 13, 14, 16 and 17."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select, update

from app.auth.models import AuthSession, User
from app.core.security import create_access_token, verify_password
from tests import factories
from tests.factories import PASSWORD, Actor

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"


async def stored_hash(app: FastAPI, user_id: int) -> str:
    row = await app.state.database.read.one(select(User.hashed_password).where(User.id == user_id))
    return row.hashed_password


async def test_registering_answers_with_the_account(client: AsyncClient) -> None:
    response = await client.post(f"{AUTH}/register", json={"email": "Alice@Example.COM", "password": PASSWORD})
    assert response.status_code == 201
    account = response.json()
    assert set(account) == {"id", "email", "is_active", "is_superuser", "created_at", "email_verified_at"}
    assert account["email"] == "alice@example.com"
    assert (account["is_active"], account["is_superuser"]) == (True, False)
    assert account["created_at"].endswith("Z")
    assert abs(datetime.fromisoformat(account["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "same",
    [
        "ALICE@EXAMPLE.COM",
        " alice@example.com ",
        "\uff21lice@example.com",  # a full-width A
        "alice@EXAMPLE\uff0ecom",
    ],
)
async def test_an_address_is_one_account_in_any_form(client: AsyncClient, same: str) -> None:
    await client.post(f"{AUTH}/register", json={"email": "alice@example.com", "password": PASSWORD})
    response = await client.post(f"{AUTH}/register", json={"email": same, "password": PASSWORD})
    assert response.status_code == 409
    assert response.json() == {"detail": "Email already registered"}
    response = await client.post(f"{AUTH}/login", json={"email": same, "password": PASSWORD})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("email", "stored", "same"),
    [
        ("J\u00fcrgen@b\u00fccher.example", "j\u00fcrgen@b\u00fccher.example", "JU\u0308RGEN@xn--bcher-kva.example"),
        ("wei\u00df@stra\u00dfe.example", "wei\u00df@stra\u00dfe.example", "WEI\u1e9e@xn--strae-oqa.example"),
        (
            "\u039d\u0399\u039a\u039f\u03a3@example.com",
            "\u03bd\u03b9\u03ba\u03bf\u03c2@example.com",
            "\u039d\u03b9\u03ba\u03bf\u03c2@example.com",
        ),
    ],
    ids=["umlaut", "sharp s", "final sigma"],
)
async def test_one_account_whatever_the_form_of_its_letters(
    app: FastAPI, client: AsyncClient, email: str, stored: str, same: str
) -> None:
    assert (await factories.register(app, email=email))["email"] == stored
    response = await client.post(f"{AUTH}/register", json={"email": same, "password": PASSWORD})
    assert response.status_code == 409


async def test_another_mailbox_is_another_account(app: FastAPI) -> None:
    addresses = [
        "weiss@example.com",
        "wei\u00df@example.com",
        "wei\u00df@strasse.example",
        "wei\u00df@stra\u00dfe.example",
    ]
    made = [(await factories.register(app, email=address))["email"] for address in addresses]
    assert made == addresses


@pytest.mark.parametrize("email", ["", "a", "a@", "@b.c", "a b@example.com", "a@b", "x" * 250 + "@b.com", None, 5])
async def test_what_is_no_address_is_refused(client: AsyncClient, email: object) -> None:
    response = await client.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "email"]


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "at least 8"),
        ("\u00e9" * 7, "at least 8"),
        ("password1", "common"),
        ("PassWord1", "common"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44\uff11", "common"),  # the same, full-width
        ("e\u0301" * 7, "at least 8"),
        ("iloveyou", "common"),
        ("me@example.com", "email"),
        ("ME@example.com", "email"),
        ("groundwork", "application"),
        ("123Groundwork!", "application"),
        ("x" * 1025, "1024"),
    ],
)
async def test_a_bad_password_is_refused_and_not_echoed(client: AsyncClient, password: str, message: str) -> None:
    response = await client.post(f"{AUTH}/register", json={"email": "me@example.com", "password": password})
    assert response.status_code == 422
    assert message in response.text
    assert password not in response.text.replace("email address", "")


@pytest.mark.parametrize("password", ["🐎" * 8, "correct horse battery staple " * 30, "        spaces        "])
async def test_a_long_or_strange_password_works_in_full(app: FastAPI, client: AsyncClient, password: str) -> None:
    account = await factories.register(app, password=password)
    assert await factories.login(app, account["email"], password)
    wrong = {"email": account["email"], "password": password[:-1]}
    assert (await client.post(f"{AUTH}/login", json=wrong)).status_code == 401


async def test_signing_in_answers_with_tokens(app: FastAPI, client: AsyncClient) -> None:
    account = await factories.register(app)
    response = await client.post(f"{AUTH}/login", json={"email": account["email"], "password": PASSWORD})
    assert response.status_code == 200
    tokens = response.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
    me = await factories.client(app, tokens["access_token"]).get(ME)
    assert me.json() == account
    # A refresh token is no access token.
    assert (await factories.client(app, tokens["refresh_token"]).get(ME)).status_code == 401


async def test_the_form_of_the_docs_signs_in_too(app: FastAPI, client: AsyncClient) -> None:
    account = await factories.register(app)
    form = {"username": account["email"].upper(), "password": PASSWORD, "grant_type": "password"}
    response = await client.post(f"{AUTH}/token", data=form)
    assert response.status_code == 200
    assert (await factories.client(app, response.json()["access_token"]).get(ME)).status_code == 200
    assert (await client.post(f"{AUTH}/token", data=form | {"username": "nobody"})).status_code == 401
    assert (await client.post(f"{AUTH}/token", data={"username": "x"})).status_code == 422


async def test_a_password_that_is_too_long_is_not_looked_at(client: AsyncClient) -> None:
    sent = {"password": "a" + "\u0301\u0316" * 600}
    as_json = await client.post(f"{AUTH}/login", json={"email": "a@example.com"} | sent)
    as_form = await client.post(f"{AUTH}/token", data={"username": "a@example.com"} | sent)
    for answer in (as_json, as_form):
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "password"])


async def test_every_wrong_sign_in_has_one_answer(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    deactivated = await factories.user(app)
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == deactivated.id).values(is_active=False))
    answers = []
    for email, password in [
        ("nobody@example.com", PASSWORD),
        (user.email, "wrong password"),
        (user.email, ""),
        (deactivated.email, PASSWORD),
    ]:
        response = await client.post(f"{AUTH}/login", json={"email": email, "password": password})
        answers.append((response.status_code, response.json(), response.headers["WWW-Authenticate"]))
    assert set(map(str, answers)) == {str((401, {"detail": "Incorrect email or password"}, "Bearer"))}


async def test_a_hash_of_another_system_is_upgraded_at_the_first_sign_in(app: FastAPI, user: Actor) -> None:
    plain = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(4)).decode()
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == user.id).values(hashed_password=plain))
    await factories.login(app, user.email, "from elsewhere")
    upgraded = await stored_hash(app, user.id)
    assert upgraded.startswith("$bcrypt-sha256$")
    assert verify_password("from elsewhere", upgraded)
    await factories.login(app, user.email, "from elsewhere")
    assert await stored_hash(app, user.id) == upgraded


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Token x", "Bearer \x7f"])
async def test_a_header_that_is_no_bearer_token_is_401(client: AsyncClient, header: str) -> None:
    response = await client.get(ME, headers={"Authorization": header})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_no_session_or_an_expired_one_is_401(app: FastAPI, user: Actor) -> None:
    settings, now = app.state.settings, datetime.now(UTC)
    forged = create_access_token(user.email, uuid4(), now, settings)
    assert (await factories.client(app, forged).get(ME)).status_code == 401
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(AuthSession).values(expires_at=now))
    assert (await user.http.get(ME)).status_code == 401


async def test_signing_out_is_in_force_at_once(app: FastAPI, user: Actor) -> None:
    elsewhere = factories.client(app, await factories.login(app, user.email))
    assert (await user.http.post(f"{AUTH}/logout")).status_code == 204
    assert (await user.http.get(ME)).status_code == 401
    assert (await elsewhere.get(ME)).status_code == 200


async def test_sessions_are_listed_and_ended(app: FastAPI, client: AsyncClient, user: Actor, other: Actor) -> None:
    headers = factories.header("User-Agent", b"My phone \xff" + b"x" * 300)
    login = await client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD}, headers=headers)
    phone = factories.client(app, login.json()["access_token"])
    sessions = (await user.http.get(f"{AUTH}/sessions")).json()
    assert [session["is_current"] for session in sessions] == [False, True]
    assert sessions[0]["user_agent"].startswith("My phone")
    assert sessions[0]["ip_address"] == "127.0.0.1"
    assert "token" not in str(sessions)
    url = f"{AUTH}/sessions/{sessions[0]['id']}"
    assert (await other.http.delete(url)).status_code == 403
    assert (await user.http.delete(url)).status_code == 204
    assert (await user.http.delete(url)).status_code == 404
    assert (await phone.get(ME)).status_code == 401
    assert (await user.http.delete(f"{AUTH}/sessions")).status_code == 204
    assert (await user.http.get(ME)).status_code == 401
    assert (await other.http.get(ME)).status_code == 200


async def test_a_new_password_signs_the_other_devices_out(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    elsewhere = factories.client(app, await factories.login(app, user.email))
    body = {"password": "a better password", "current_password": PASSWORD}
    assert (await user.http.patch(ME, json=body)).status_code == 200
    assert (await user.http.get(ME)).status_code == 200
    assert (await elsewhere.get(ME)).status_code == 401
    assert (await client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD})).status_code == 401
    assert await factories.login(app, user.email, "a better password")


async def test_an_account_changes_only_with_its_password(app: FastAPI, user: Actor, other: Actor) -> None:
    new = {"email": "new@example.com"}
    assert (await user.http.patch(ME, json=new)).status_code == 422
    wrong = await user.http.patch(ME, json=new | {"current_password": "wrong password"})
    assert wrong.status_code == 403
    assert wrong.json() == {"detail": "Not authorized: the password is wrong"}
    taken = await user.http.patch(ME, json={"email": other.email.upper(), "current_password": PASSWORD})
    assert taken.status_code == 409
    changed = await user.http.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})
    assert changed.json()["email"] == "new@example.com"
    assert await factories.login(app, "new@example.com")
    weak = await user.http.patch(ME, json={"password": "password1", "current_password": PASSWORD})
    assert weak.status_code == 422
    for field in ("email", "password"):
        assert (await user.http.patch(ME, json={field: None, "current_password": PASSWORD})).status_code == 422


async def test_nobody_makes_themselves_a_superuser(client: AsyncClient, user: Actor) -> None:
    body = {"email": factories.email(), "password": PASSWORD, "is_superuser": True}
    assert (await client.post(f"{AUTH}/register", json=body)).status_code == 422
    patch = {"current_password": PASSWORD, "is_superuser": True}
    assert (await user.http.patch(ME, json=patch)).status_code == 422
    assert (await user.http.get(ME)).json()["is_superuser"] is False
    assert (await user.http.patch(f"/api/v1/users/{user.id}", json={"is_superuser": True})).status_code == 403


async def test_a_deleted_account_is_gone_with_everything(app: FastAPI, user: Actor) -> None:
    await factories.item(user)
    assert (await user.http.request("DELETE", ME, json={"password": "wrong password"})).status_code == 403
    assert (await user.http.request("DELETE", ME, json={"password": PASSWORD})).status_code == 204
    assert (await user.http.get(ME)).status_code == 401
    async with app.state.database.sessions() as db:
        for model in (User, AuthSession):
            assert await db.scalar(select(func.count()).select_from(model)) == 0


async def test_an_address_registered_anew_is_another_account(app: FastAPI, user: Actor) -> None:
    await user.http.request("DELETE", ME, json={"password": PASSWORD})
    again = await factories.user(app, email=user.email)
    assert again.id > user.id
    assert (await user.http.get(ME)).status_code == 401
    assert (await again.http.get(ME)).status_code == 200


@pytest.mark.parametrize("change", [{"hashed_password": "changed"}, {"is_active": False}], ids=str)
async def test_an_account_that_changes_during_a_sign_in_opens_no_session(
    app: FastAPI, client: AsyncClient, user: Actor, change: dict[str, Any]
) -> None:
    """The hash is verified outside the transaction; here the account changes in between."""
    hasher = app.state.hasher

    class Slow:
        rounds = hasher.rounds

        async def verify(self, password: str, hashed: str) -> bool:
            async with app.state.database.sessions.begin() as db:
                await db.execute(update(User).where(User.id == user.id).values(change))
            return await hasher.verify(password, hashed)

    app.state.hasher = Slow()
    try:
        response = await client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD})
    finally:
        app.state.hasher = hasher
    assert response.status_code == 401


async def test_the_token_names_the_session(app: FastAPI, user: Actor) -> None:
    sessions = (await user.http.get(f"{AUTH}/sessions")).json()
    row = await app.state.database.read.one(select(AuthSession).where(AuthSession.id == UUID(sessions[0]["id"])))
    assert row.user_id == user.id
