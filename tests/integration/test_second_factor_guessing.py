"""Codes are good once, and cannot be guessed, however many try at the same moment."""

import logging
import re
from collections import Counter
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.auth.second_factor.models import RecoveryCode, SecondFactor
from app.core.database import Row, utcnow
from app.core.observability.setup import configure_logging
from app.main import create_app
from tests import factories
from tests.factories import Actor
from tests.mail_server import MailServer
from tests.second_factor import FACTOR, Authenticator, at_once, change, enrol, prove, second_factor
from tests.waiting import until

WRONG = (401, "The code is wrong")
OVER = (401, "The sign-in is over, begin it again")
LATER = (429, "Too many wrong codes, try later")
SIGNED_IN = (200, "")
NO_RECOVERY_CODE = "AAAAAA-AAAAAA-AAAAAA-AAAAAA"


@pytest.fixture
async def owner(user: Actor) -> Authenticator:
    return await second_factor(user)


async def stored(owner: Authenticator) -> Row:
    app = owner.actor.app
    row = await app.state.database.read.one(select(SecondFactor).where(SecondFactor.user_id == owner.actor.id))
    assert row
    return row


async def test_a_code_is_good_once(owner: Authenticator) -> None:
    code, before, after = owner.code(), owner.code(-1), owner.code(1)
    assert (await owner.answer(code)).status_code == 200
    for used in (code, before):  # that of the step before was not used, and is older than the last that was
        response = await owner.answer(used)
        assert (response.status_code, response.json()["detail"]) == WRONG
    assert (await owner.answer(after)).status_code == 200


async def test_the_code_that_turns_it_on_signs_nobody_in(app: FastAPI, user: Actor) -> None:
    secret = await enrol(user)
    owner = Authenticator(user, secret, [])
    code = owner.code()
    assert (await user.http.post(f"{FACTOR}/confirm", json={"code": code})).status_code == 200
    assert (await owner.answer(code)).status_code == 401


@pytest.mark.parametrize("steps", [-100, -3, -2, 3, 100])
async def test_a_code_of_another_time_is_refused(owner: Authenticator, steps: int) -> None:
    response = await owner.answer(owner.code(steps))
    assert (response.status_code, response.json()["detail"]) == WRONG


@pytest.mark.parametrize("typed", ["{} {}", " {}{} ", "{}-{}"])
async def test_a_code_may_be_grouped(owner: Authenticator, typed: str) -> None:
    code = owner.code()
    assert (await owner.answer(typed.format(code[:3], code[3:]))).status_code == 200


async def test_of_fifty_who_use_one_code_at_once_one_is_let_in(owner: Authenticator) -> None:
    code = owner.code()
    tokens = [await owner.challenge() for _ in range(50)]
    heard = await at_once(owner, [(token, code) for token in tokens])
    assert heard[SIGNED_IN] == 1
    assert sum(heard[answer] for answer in (WRONG, LATER)) == 49


async def test_of_fifty_who_answer_one_challenge_at_once_one_is_let_in(owner: Authenticator) -> None:
    token = await owner.challenge()
    heard = await at_once(owner, [(token, code) for code in (owner.code(), owner.code(1)) * 25])
    assert heard[SIGNED_IN] == 1


async def test_of_fifty_who_use_one_recovery_code_at_once_one_is_let_in(app: FastAPI, owner: Authenticator) -> None:
    tokens = [await owner.challenge() for _ in range(50)]
    assert await at_once(owner, [(token, owner.recovery_codes[3]) for token in tokens]) == {SIGNED_IN: 1, WRONG: 49}
    assert (await owner.actor.http.get(FACTOR)).json()["recovery_codes_left"] == 9
    for typed in (owner.recovery_codes[4].lower(), owner.recovery_codes[5].replace("-", " ")):
        assert (await owner.answer(typed)).status_code == 200
    assert await app.state.database.read.count(select(RecoveryCode)) == 7


async def test_a_recovery_code_is_its_owners(owner: Authenticator, other: Actor) -> None:
    others = await second_factor(other)
    assert (await owner.answer(others.recovery_codes[0])).status_code == 401
    assert (await others.answer(others.recovery_codes[0])).status_code == 200


async def test_of_a_hundred_guesses_at_one_challenge_five_are_checked(owner: Authenticator) -> None:
    token = await owner.challenge()
    assert await at_once(owner, [(token, NO_RECOVERY_CODE)] * 100) == {WRONG: 5, OVER: 95}
    response = await owner.answer(owner.code(), token)
    assert (response.status_code, response.json()["detail"]) == OVER
    assert (await owner.answer(owner.code())).status_code == 200


async def test_of_a_hundred_guesses_at_an_account_five_are_checked(owner: Authenticator) -> None:
    tokens = [await owner.challenge() for _ in range(25)]
    assert await at_once(owner, [(token, owner.wrong_code) for token in tokens * 4]) == {WRONG: 5, LATER: 95}
    response = await owner.answer(owner.code())
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 30
    proof = await prove(owner.actor.http, "DELETE", "", owner.code())  # a stolen session guesses no better
    assert proof.status_code == 429
    # Nobody is kept out by another's guesses: what cannot be guessed is not kept waiting.
    assert (await owner.answer(owner.recovery_codes[0])).status_code == 200
    assert (await stored(owner)).failures == 0


async def test_a_stolen_session_guesses_no_better(owner: Authenticator) -> None:
    heard = Counter([(await prove(owner.actor.http, "DELETE", "", owner.wrong_code)).status_code for _ in range(8)])
    assert heard == {403: 5, 429: 3}


async def test_waiting_grows_and_ends(owner: Authenticator, post_office: MailServer) -> None:
    waits = []
    for failures in (4, 5, 6, 11, 12, 1000):
        await change(owner.actor, failures=failures, blocked_until=utcnow() - timedelta(seconds=1))
        assert (await owner.answer(owner.wrong_code)).status_code == 401
        waits.append(round(((await stored(owner)).blocked_until - utcnow()).total_seconds() / 10) * 10)
    assert waits == [30, 60, 120, 3600, 3600, 3600]
    assert (await owner.answer(owner.code())).status_code == 429
    await change(owner.actor, blocked_until=utcnow())
    assert (await owner.answer(owner.code())).status_code == 200
    assert ((await stored(owner)).failures, (await stored(owner)).blocked_until) == (0, None)

    async def warned() -> bool:
        return [mail["Subject"] for mail in post_office.mails[owner.actor.email]].count(
            "Somebody entered wrong codes for your account"
        ) == 1

    assert await until(warned)


async def test_confirming_is_bounded_and_blocks_no_active_factor(user: Actor) -> None:
    secret = await enrol(user)
    pending = Authenticator(user, secret, [])
    url = f"{FACTOR}/confirm"
    wrong = [(await user.http.post(url, json={"code": pending.wrong_code})).status_code for _ in range(7)]
    assert wrong == [403] * 5 + [429] * 2
    owner = await second_factor(user)  # begun again, which takes the password
    for _ in range(7):
        assert (await user.http.post(url, json={"code": owner.wrong_code})).status_code == 409
    assert (await stored(owner)).failures == 0


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_line_holds_a_code(
    app: FastAPI, user: Actor, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    talkative = create_app(app.state.settings.model_copy(
        update={"log_level": "DEBUG", "log_format": log_format, "debug": True}))  # fmt: skip
    talkative.state.hasher = app.state.hasher
    user.app, user.http = talkative, factories.client(talkative, user.token)
    try:
        owner = await second_factor(user)
        token, code, wrong = await owner.challenge(), owner.code(), owner.wrong_code
        assert (await owner.answer(wrong, token)).status_code == 401
        assert (await owner.answer(code, token)).status_code == 200
        assert (await owner.answer(owner.recovery_codes[0])).status_code == 200
        assert (await prove(user.http, "POST", "/recovery-codes", owner.code(1))).status_code == 200
    finally:
        await factories.close(talkative)
        configure_logging(factories.settings())
        for name in ("sqlalchemy.engine.Engine", "sqlalchemy.pool"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    logged = capsys.readouterr().err
    assert "/api/v1/auth/login/second-factor" in logged
    assert "INSERT INTO second_factors" in logged
    for secret in (owner.secret, owner.recovery_codes[0], token):
        assert secret not in logged
    assert not re.findall(rf"(?<![0-9a-f])(?:{code}|{wrong})(?![0-9a-f])", logged)
