"""Accounts with a second factor for the tests, and what their owners do."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pyotp import TOTP
from sqlalchemy import update

from app.auth.second_factor.models import SecondFactor
from app.core.database import utcnow
from tests import factories
from tests.factories import PASSWORD, Actor

AUTH = "/api/v1/auth"
FACTOR = f"{AUTH}/second-factor"
ANSWER = f"{AUTH}/login/second-factor"


@dataclass
class Authenticator:
    """The owner's telephone and sheet of paper."""

    actor: Actor
    secret: str
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        """The present code, or that of so many steps later."""
        return TOTP(self.secret).at(utcnow(), counter_offset=steps)

    @property
    def wrong_code(self) -> str:
        good = {self.code(steps) for steps in range(-2, 4)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666")
                    if code not in good)  # fmt: skip

    async def challenge(self) -> str:
        return await challenge(self.actor.app, self.actor.email)

    async def answer(self, code: str, token: str | None = None) -> Response:
        body = {"challenge_token": token or await self.challenge(), "code": code}
        return await factories.client(self.actor.app).post(ANSWER, json=body)


async def enrol(actor: Actor) -> str:
    """The secret of a factor that waits to be confirmed."""
    response = await actor.http.post(FACTOR, json={"password": PASSWORD})
    assert response.status_code == 201, response.text
    return response.json()["secret"]


async def second_factor(actor: Actor) -> Authenticator:
    secret = await enrol(actor)
    response = await actor.http.post(f"{FACTOR}/confirm", json={"code": TOTP(secret).at(utcnow())})
    assert response.status_code == 200, response.text
    await change(actor, last_step=0)  # as after a while
    return Authenticator(actor, secret, response.json()["recovery_codes"])


async def change(actor: Actor, **values: Any) -> None:
    """What time does to a stored factor."""
    async with actor.app.state.database.sessions.begin() as db:
        await db.execute(update(SecondFactor).where(SecondFactor.user_id == actor.id).values(values))


async def login(app: FastAPI, email: str, password: str = PASSWORD) -> Response:
    return await factories.client(app).post(f"{AUTH}/login", json={"email": email, "password": password})


async def challenge(app: FastAPI, email: str) -> str:
    response = await login(app, email)
    assert response.status_code == 200, response.text
    return response.json()["challenge_token"]


async def prove(http: AsyncClient, method: str, path: str, code: str, password: str = PASSWORD) -> Response:
    return await http.request(method, f"{FACTOR}{path}", json={"password": password, "code": code})


async def at_once(owner: Authenticator, answers: Iterable[tuple[str, str]]) -> Counter[tuple[int, str]]:
    """What so many clients heard who answer at the same moment: how often each status with its detail."""
    responses = await asyncio.gather(*(owner.answer(code, token) for token, code in answers))
    return Counter((response.status_code, response.json().get("detail", "")) for response in responses)
