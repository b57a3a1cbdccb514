"""The second factor over HTTP: turned on, asked for, turned off."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from pyotp import TOTP, parse_uri
from sqlalchemy import func, select, text, update

from app.auth.models import SignInChallenge, User, end_sessions
from app.auth.second_factor.models import RecoveryCode, SecondFactor
from app.auth.second_factor.service import secret_purpose
from app.core.database import utcnow
from app.core.http.idempotency import IdempotencyKey
from app.core.security import decrypt
from app.main import create_app
from tests import factories
from tests.conformance import matrix
from tests.conformance.matrix import World
from tests.conformance.test_matrix import TRIED_ELSEWHERE
from tests.factories import PASSWORD, Actor
from tests.integration.test_recovery import NEW, RESET, forget, reset, token_for
from tests.mail_server import MailServer
from tests.rows import Operation, operations
from tests.second_factor import (
    ANSWER,
    AUTH,
    FACTOR,
    Authenticator,
    change,
    enrol,
    login,
    prove,
    second_factor,
)
from tests.waiting import until

ME = f"{AUTH}/me"
OPERATIONS = [
    operation
    for operation in operations(create_app(factories.settings()))
    if operation.path.startswith(FACTOR) and str(operation) in TRIED_ELSEWHERE
]


@pytest.fixture
async def owner(user: Actor) -> Authenticator:
    return await second_factor(user)


async def count(app: FastAPI, model: type) -> int:
    async with app.state.database.sessions() as db:
        return await db.scalar(select(func.count()).select_from(model)) or 0


async def test_an_address_that_is_not_verified_takes_no_second_factor(app: FastAPI, user: Actor) -> None:
    """Whoever registers another's address would keep out its owner, who sets a new password by mail."""
    refused = (403, {"detail": "Not authorized: verify your email address first"})
    secret = await enrol(user)
    await factories.change(user, email_verified_at=None)  # as by another address
    for path, body in (("", {"password": PASSWORD}), ("/confirm", {"code": TOTP(secret).now()})):
        answer = await user.http.post(f"{FACTOR}{path}", json=body)
        assert (answer.status_code, answer.json()) == refused
    assert "access_token" in (await login(app, user.email)).json()


async def test_an_address_stays_while_a_second_factor_is_on(owner: Authenticator) -> None:
    body = {"email": "another@example.com", "current_password": PASSWORD}
    answer = await owner.actor.http.patch(ME, json=body)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Turn the second factor off first")
    same = await owner.actor.http.patch(ME, json=body | {"email": owner.actor.email.upper()})
    assert same.status_code == 200
    assert (await prove(owner.actor.http, "DELETE", "", owner.code())).status_code == 204
    assert (await owner.actor.http.patch(ME, json=body)).status_code == 200


async def test_it_is_on_once_a_code_of_the_app_is_confirmed(app: FastAPI, user: Actor) -> None:
    off = {"is_active": False, "confirmed_at": None, "recovery_codes_left": 0}
    assert (await user.http.get(FACTOR)).json() == off
    begun = await user.http.post(FACTOR, json={"password": PASSWORD})
    assert begun.status_code == 201
    answer = begun.json()
    assert set(answer) == {"secret", "uri", "qr_code"}
    known = parse_uri(answer["uri"])
    assert (known.secret, known.name, known.issuer) == (answer["secret"], user.email, "Groundwork")
    assert answer["qr_code"].startswith("data:image/svg+xml;charset=utf-8,%3Csvg")
    assert unquote(answer["qr_code"]).endswith("</svg>")
    assert (await user.http.get(FACTOR)).json() == off
    assert "access_token" in (await login(app, user.email)).json()
    confirmed = await user.http.post(f"{FACTOR}/confirm", json={"code": TOTP(answer["secret"]).now()})
    assert confirmed.status_code == 200
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    on = (await user.http.get(FACTOR)).json()
    assert (on["is_active"], on["recovery_codes_left"]) == (True, 10)
    assert on["confirmed_at"].endswith("Z")
    for response in (
        await user.http.post(FACTOR, json={"password": PASSWORD}),
        await user.http.post(f"{FACTOR}/confirm", json={"code": TOTP(answer["secret"]).now()}),
    ):
        assert response.status_code == 409


async def test_beginning_again_takes_the_place_of_what_was_not_confirmed(user: Actor) -> None:
    first, second = await enrol(user), await enrol(user)
    assert first != second
    assert (await user.http.post(f"{FACTOR}/confirm", json={"code": TOTP(first).now()})).status_code == 403
    assert (await user.http.post(f"{FACTOR}/confirm", json={"code": TOTP(second).now()})).status_code == 200


async def test_what_is_not_on_is_neither_confirmed_nor_turned_off(user: Actor) -> None:
    assert (await user.http.post(f"{FACTOR}/confirm", json={"code": "123456"})).status_code == 409
    assert (await prove(user.http, "DELETE", "", "123456")).status_code == 409
    secret = await enrol(user)
    for method, path in (("DELETE", ""), ("POST", "/recovery-codes")):
        assert (await prove(user.http, method, path, TOTP(secret).now())).status_code == 409


async def test_turning_it_on_takes_the_password(user: Actor) -> None:
    response = await user.http.post(FACTOR, json={"password": "wrong password"})
    assert (response.status_code, response.json()) == (403, {"detail": "Not authorized: the password is wrong"})


@pytest.mark.parametrize("local", ["x" * 64, "\u00fc" * 32], ids=["long", "not ASCII"])
async def test_a_long_address_fits_into_the_image(app: FastAPI, local: str) -> None:
    domain = ".".join(["y" * 60] * 2 + ["example"])
    long = await factories.user(app, email=f"{local}@{domain}")
    assert (await long.http.post(FACTOR, json={"password": PASSWORD})).status_code == 201


async def test_neither_secret_nor_codes_are_stored_in_clear(app: FastAPI, owner: Authenticator) -> None:
    await owner.challenge()
    stored = []
    async with app.state.database.sessions() as db:
        for table in ("second_factors", "recovery_codes", "sign_in_challenges", "outbox"):
            stored += (await db.execute(text(f"SELECT * FROM {table}"))).all()
    assert len(stored) >= 12
    for secret in (owner.secret, *owner.recovery_codes, *(code.replace("-", "") for code in owner.recovery_codes)):
        assert secret not in str(stored)


async def test_a_secret_is_of_use_in_its_own_row_only(app: FastAPI, owner: Authenticator, other: Actor) -> None:
    """Whoever can write into the database puts no known secret there."""
    others = await second_factor(other)
    known = await app.state.database.read.one(select(SecondFactor.secret).where(SecondFactor.user_id == other.id))
    await change(owner.actor, secret=known.secret)
    assert (await owner.answer(others.code())).status_code == 500
    assert (await owner.answer(owner.recovery_codes[0])).status_code == 200


async def test_a_sign_in_writes_the_secret_under_the_newest_key(app: FastAPI, owner: Authenticator) -> None:
    """So that the key before it can be forgotten in the end."""
    new_key = SecretStr("another-secret-0123456789abcdefghijklmnopqr")
    keys = {"secret_key": new_key, "secret_key_previous": [app.state.settings.secret_key]}
    rotated = create_app(app.state.settings.model_copy(update=keys))
    rotated.state.hasher = app.state.hasher
    owner.actor.app = rotated
    try:
        assert (await owner.answer(owner.code())).status_code == 200
    finally:
        await factories.close(rotated)
    stored = await app.state.database.read.one(
        select(SecondFactor.secret).where(SecondFactor.user_id == owner.actor.id)
    )
    newest = app.state.settings.model_copy(update={"secret_key": new_key})
    assert decrypt(stored.secret, secret_purpose(owner.actor.id), newest) == owner.secret


async def test_turning_it_on_or_off_signs_the_other_devices_out(app: FastAPI, user: Actor) -> None:
    elsewhere = factories.client(app, await factories.login(app, user.email))
    owner = await second_factor(user)
    assert (await elsewhere.get(ME)).status_code == 401
    assert (await user.http.get(ME)).status_code == 200
    elsewhere = factories.client(app, (await owner.answer(owner.code())).json()["access_token"])
    assert (await elsewhere.get(ME)).status_code == 200
    assert (await prove(user.http, "DELETE", "", owner.code(1))).status_code == 204
    assert (await elsewhere.get(ME)).status_code == 401
    assert (await user.http.get(ME)).status_code == 200


@pytest.mark.parametrize("kind", ["code", "recovery code"])
async def test_it_is_turned_off_by_password_and_code(app: FastAPI, owner: Authenticator, kind: str) -> None:
    code, http = (owner.code() if kind == "code" else owner.recovery_codes[0]), owner.actor.http
    assert (await prove(http, "DELETE", "", code, "wrong password")).status_code == 403
    wrong = await prove(http, "DELETE", "", owner.wrong_code)
    assert (wrong.status_code, wrong.json()) == (403, {"detail": "Not authorized: the code is wrong"})
    assert (await prove(http, "DELETE", "", code)).status_code == 204
    assert "access_token" in (await login(app, owner.actor.email)).json()
    assert (await count(app, SecondFactor), await count(app, RecoveryCode)) == (0, 0)
    assert (await prove(http, "DELETE", "", code)).status_code == 409


async def test_new_recovery_codes_kill_the_old(owner: Authenticator) -> None:
    http = owner.actor.http
    assert (await prove(http, "POST", "/recovery-codes", owner.wrong_code)).status_code == 403
    code = owner.code()
    renewed = await prove(http, "POST", "/recovery-codes", code)
    assert renewed.status_code == 200
    new = renewed.json()["recovery_codes"]
    assert len({*new, *owner.recovery_codes}) == 20
    assert (await owner.answer(owner.recovery_codes[0])).status_code == 401
    assert (await owner.answer(new[0])).status_code == 200
    # The code that proved it is used up too.
    assert (await prove(http, "POST", "/recovery-codes", code)).status_code == 403


async def test_a_reset_password_still_asks_for_the_code(
    app: FastAPI, client: AsyncClient, owner: Authenticator, post_office: MailServer
) -> None:
    """Whoever has the mailbox has one factor, and not two (OWASP ASVS 5.0, 6.4.3)."""
    address = owner.actor.email
    await forget(client, address)
    assert await reset(client, await token_for(post_office, address, RESET)) == 204
    asked = await login(app, address, NEW)
    assert set(asked.json()) == {"second_factor", "challenge_token", "expires_in"}
    assert (await owner.answer(owner.wrong_code, asked.json()["challenge_token"])).status_code == 401
    assert (await owner.answer(owner.code(), asked.json()["challenge_token"])).status_code == 200


async def test_signing_in_takes_password_and_code(app: FastAPI, owner: Authenticator) -> None:
    assert (await login(app, owner.actor.email, "wrong password")).status_code == 401
    asked = await login(app, owner.actor.email)
    assert asked.status_code == 200
    token = asked.json()["challenge_token"]
    assert asked.json() == {"second_factor": "totp", "challenge_token": token, "expires_in": 300}
    answer = await owner.answer(owner.code(), token)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    me = await factories.client(app, answer.json()["access_token"]).get(ME)
    assert me.json()["email"] == owner.actor.email


async def test_the_docs_form_says_where_to_sign_in(app: FastAPI, client: AsyncClient, owner: Authenticator) -> None:
    form = {"username": owner.actor.email, "password": PASSWORD}
    response = await client.post(f"{AUTH}/token", data=form)
    assert response.status_code == 403
    assert "POST /api/v1/auth/login" in response.json()["detail"]
    assert await count(app, SignInChallenge) == 0
    wrong = await client.post(f"{AUTH}/token", data=form | {"password": "wrong password"})
    assert wrong.json() == {"detail": "Incorrect email or password"}


async def test_a_factor_that_is_turned_on_during_a_sign_in_is_asked_for(app: FastAPI, user: Actor) -> None:
    await enrol(user)
    hasher = app.state.hasher

    class Slow:
        rounds = hasher.rounds

        async def verify(self, password: str, hashed: str) -> bool:
            await change(user, confirmed_at=utcnow())
            return await hasher.verify(password, hashed)

    app.state.hasher = Slow()
    try:
        assert "challenge_token" in (await login(app, user.email)).json()
    finally:
        app.state.hasher = hasher


async def test_a_session_that_ends_meanwhile_turns_nothing_on(app: FastAPI, user: Actor) -> None:
    """A thief whose session the owner ends, between the moment when the token was checked and the write."""
    code = TOTP(await enrol(user)).now()
    async with app.state.database.sessions.begin() as db:
        await db.execute(select(SecondFactor).where(SecondFactor.user_id == user.id).with_for_update())
        confirming = asyncio.create_task(user.http.post(f"{FACTOR}/confirm", json={"code": code}))
        done, _ = await asyncio.wait({confirming}, timeout=0.5)
        assert not done  # it waits for the row
        await end_sessions(db, user.id)
    response = await confirming
    assert (response.status_code, response.json()) == (401, {"detail": "The session has ended"})
    assert "access_token" in (await login(app, user.email)).json()


async def use(owner: Authenticator, token: str) -> None:
    assert (await owner.answer(owner.recovery_codes[0], token)).status_code == 200


async def expire(owner: Authenticator, token: str) -> None:
    async with owner.actor.app.state.database.sessions.begin() as db:
        await db.execute(update(SignInChallenge).values(expires_at=utcnow()))


async def change_the_password(owner: Authenticator, token: str) -> None:
    body = {"password": "a better password", "current_password": PASSWORD}
    assert (await owner.actor.http.patch(ME, json=body)).status_code == 200


async def sign_out_everywhere(owner: Authenticator, token: str) -> None:
    assert (await owner.actor.http.delete(f"{AUTH}/sessions")).status_code == 204


async def turn_it_off(owner: Authenticator, token: str) -> None:
    assert (await prove(owner.actor.http, "DELETE", "", owner.recovery_codes[0])).status_code == 204


async def deactivate(owner: Authenticator, token: str) -> None:
    async with owner.actor.app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == owner.actor.id).values(is_active=False))


async def deactivate_for_a_while(owner: Authenticator, token: str) -> None:
    admin = await factories.superuser(owner.actor.app)
    for is_active in (False, True):
        body = {"is_active": is_active}
        assert (await admin.http.patch(f"/api/v1/users/{owner.actor.id}", json=body)).status_code == 200


@pytest.mark.parametrize(
    "end",
    [use, expire, change_the_password, sign_out_everywhere, turn_it_off, deactivate, deactivate_for_a_while],
    ids=lambda end: end.__name__,
)
async def test_a_challenge_is_over(owner: Authenticator, end: Callable[[Authenticator, str], Awaitable[None]]) -> None:
    token = await owner.challenge()
    await end(owner, token)
    response = await owner.answer(owner.code(), token)
    assert (response.status_code, response.json()) == (401, {"detail": "The sign-in is over, begin it again"})


async def test_a_challenge_is_its_accounts_and_nothing_else_is_one(owner: Authenticator, other: Actor) -> None:
    others = await second_factor(other)
    token = await owner.challenge()
    for wrong, code in (
        (token, others.code()),
        (await others.challenge(), owner.code()),
        (f"{token[:-2]}xx", owner.code()),
        (owner.actor.token, owner.code()),
        ("", owner.code()),
    ):
        body = {"challenge_token": wrong, "code": code}
        assert (await factories.client(owner.actor.app).post(ANSWER, json=body)).status_code == 401
    assert (await owner.answer(owner.code(), token)).status_code == 200


async def test_a_challenge_is_no_access_token(app: FastAPI, owner: Authenticator) -> None:
    http = factories.client(app, await owner.challenge())
    for method, path in (("GET", ME), ("GET", FACTOR), ("DELETE", FACTOR), ("POST", f"{AUTH}/logout")):
        assert (await http.request(method, path)).status_code == 401


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", "x" * 65, "\uff11\uff12\uff13\uff14\uff15\uff16", "\u0661" * 6, "-12345", "0x1234",
     "1e1000", "      ", "------", "\u202e123456", "1_2345", 123456, None, ["123456"], {"code": "123456"}, 0, True],
    ids=repr,
)  # fmt: skip
async def test_what_is_no_code_opens_nothing(client: AsyncClient, owner: Authenticator, code: object) -> None:
    token = await owner.challenge()
    response = await client.post(ANSWER, json={"challenge_token": token, "code": code})
    assert response.status_code in (401, 422)
    for method, path in (("DELETE", ""), ("POST", "/recovery-codes"), ("POST", "/confirm")):
        body = {"code": code} if path == "/confirm" else {"password": PASSWORD, "code": code}
        response = await owner.actor.http.request(method, f"{FACTOR}{path}", json=body)
        assert response.status_code in (403, 409, 422)


async def test_nothing_that_was_sent_is_echoed(client: AsyncClient, owner: Authenticator) -> None:
    secret, http = "hunter2-hunter2", owner.actor.http
    for body in (
        {"challenge_token": secret * 100, "code": "123456"},
        {"challenge_token": [secret], "code": {"x": secret}},
        {"challenge_token": secret, "code": secret * 10, secret[:5]: secret},
    ):
        assert secret not in (await client.post(ANSWER, json=body)).text
    for method, path in (("DELETE", ""), ("POST", "/recovery-codes"), ("POST", "/confirm"), ("POST", "")):
        for body in ({"password": [secret], "code": [secret]}, {"password": secret, "code": secret * 10}):
            response = await http.request(method, f"{FACTOR}{path}", json=body)
            assert response.status_code == 422 or path == ""
            assert secret not in response.text


async def test_what_is_shown_once_is_not_stored_for_a_repeat(app: FastAPI, user: Actor) -> None:
    headers = {"Idempotency-Key": "the-same"}
    body = {"password": PASSWORD}
    first, second = [(await user.http.post(FACTOR, json=body, headers=headers)).json() for _ in range(2)]
    assert first["secret"] != second["secret"]
    confirmation = {"code": TOTP(second["secret"]).now()}
    confirmed = await user.http.post(f"{FACTOR}/confirm", json=confirmation, headers=headers)
    assert confirmed.status_code == 200
    proof = {"password": PASSWORD, "code": confirmed.json()["recovery_codes"][0]}
    renewed = await user.http.post(f"{FACTOR}/recovery-codes", json=proof, headers=headers)
    assert renewed.status_code == 200
    assert await count(app, IdempotencyKey) == 0
    # A key that another request has used says nothing here.
    assert (await user.http.post("/api/v1/items", json={"title": "x"}, headers=headers)).status_code == 201
    assert (await user.http.post(FACTOR, json=body, headers=headers)).status_code == 409


async def test_the_owner_hears_of_each_change(user: Actor, post_office: MailServer) -> None:
    owner = await second_factor(user)
    await prove(user.http, "POST", "/recovery-codes", owner.code())
    await prove(user.http, "DELETE", "", owner.code(1))

    changes = ("turned on", "given new recovery codes", "turned off")
    wanted = {f"The second factor of your account was {change}" for change in changes}

    async def told() -> bool:
        return wanted <= {str(mail["Subject"]) for mail in post_office.mails[user.email]}

    assert await until(told)
    for mail in post_office.mails[user.email]:
        assert not [code for code in (owner.secret, *owner.recovery_codes) if code in mail.as_string()]


async def test_what_happens_to_it_is_written_down(user: Actor, superuser: Actor) -> None:
    owner = await second_factor(user)
    await owner.answer(owner.wrong_code)
    await owner.answer(owner.code())
    await prove(user.http, "POST", "/recovery-codes", owner.recovery_codes[0])
    await prove(user.http, "DELETE", "", owner.code(1))
    rows = (await superuser.http.get("/api/v1/audit", params={"user_id": user.id, "sort": "id"})).json()
    assert [row["event"] for row in rows] == [
        "second_factor_on",
        "sign_in_failed",
        "signed_in",
        "recovery_codes_renewed",
        "second_factor_off",
    ]


async def test_it_goes_with_its_account(app: FastAPI, owner: Authenticator) -> None:
    await owner.challenge()
    assert (await owner.actor.http.request("DELETE", ME, json={"password": PASSWORD})).status_code == 204
    assert [await count(app, model) for model in (SecondFactor, RecoveryCode, SignInChallenge)] == [0, 0, 0]


@pytest.fixture
async def world(app: FastAPI) -> World:
    return World(app)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_the_matrix_holds_for_what_takes_a_code(world: World, operation: Operation) -> None:
    """What the conformance suite tries of every other route; none of them is about another's row."""
    assert (operation.policy, operation.is_on_a_row) == ("user", False)
    responses = world.operation(operation.method, operation.path)["responses"]
    assert set(responses) >= {"401", "403", "409", "422", "429", "503"}
    await matrix.check_signed_in(world, operation)
    await matrix.check_api_keys(world, operation)
    await matrix.check_unknown_fields(world, operation)
    await matrix.check_strict_json(world, operation)
    for make in (factories.user, factories.superuser):
        actor = await make(world.app)
        secret = await enrol(actor)
        response = await actor.http.post(f"{FACTOR}/confirm", json={"code": TOTP(secret).now()})
        if not operation.path.endswith("/confirm"):
            proof = {"password": PASSWORD, "code": response.json()["recovery_codes"][0]}
            response = await actor.http.request(operation.method, operation.path, json=proof)
        assert response.is_success


def test_each_of_them_is_tried() -> None:
    assert {str(operation) for operation in OPERATIONS} == {name for name in TRIED_ELSEWHERE if FACTOR in name}
