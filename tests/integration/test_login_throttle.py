"""Guessing passwords, promise 11: counted before the password is looked at, by account and by address."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from app.auth.hashing import PasswordHasher
from tests import factories
from tests.factories import PASSWORD, Actor
from tests.integration.test_rate_limits import limited
from tests.waiting import until

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"


class CountingHasher:
    """The application's own, which counts the passwords that it compares, in all and at once."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self.rounds = hasher.rounds
        self.verified = self.under_way = self.most_at_once = 0

    async def verify(self, password: str, hashed: str | None) -> bool:
        self.verified += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await self._hasher.verify(password, hashed)
        finally:
            self.under_way -= 1

    async def hash(self, password: str) -> str:
        return await self._hasher.hash(password)


def throttled(app: FastAPI, account: str = "5/hour", address: str = "10000/hour") -> FastAPI:
    other = limited(app, rate_limit_auth="10000/hour", login_limit_account=account, login_limit_address=address)
    other.state.hasher = CountingHasher(app.state.hasher)
    return other


async def sign_in(client: AsyncClient, email: str, password: str = "wrong password") -> Response:
    return await client.post(f"{AUTH}/login", json={"email": email, "password": password})


async def guesses(app: FastAPI, emails: Iterable[str], addresses: Iterable[str], last: str = "") -> list[Response]:
    """One for each pair, all at once; the last with another password."""
    pairs = list(zip(emails, addresses, strict=True))
    passwords = ["wrong password"] * (len(pairs) - 1) + [last or "wrong password"]
    clients = [factories.client(app, address=address) for _, address in pairs]
    return await asyncio.gather(
        *(sign_in(client, email, word) for client, (email, _), word in zip(clients, pairs, passwords, strict=True))
    )


def everywhere(count: int) -> list[str]:
    return [f"203.0.113.{number}" for number in range(count)]


@pytest.mark.parametrize("is_known", [True, False])
async def test_of_many_guesses_at_once_the_limit_is_looked_at(app: FastAPI, user: Actor, is_known: bool) -> None:
    """From a hundred addresses, under any spelling; an address without an account behaves alike."""
    guarded = throttled(app)
    name = user.email if is_known else "nobody@example.com"
    answers = await guesses(guarded, [name, name.upper(), f" {name} ", name.title()] * 25, everywhere(100))
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 95}
    assert guarded.state.hasher.verified == 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json() == {"detail": "Too many requests, try again later"}
    assert 3000 < int(refused.headers["Retry-After"]) <= 3601
    assert (await sign_in(factories.client(guarded), name, PASSWORD)).status_code == 429


async def test_one_address_cannot_try_many_accounts(app: FastAPI) -> None:
    guarded = throttled(app, address="7/hour")
    accounts = [factories.email() for _ in range(60)]
    answers = await guesses(guarded, accounts, ["203.0.113.1"] * 60)
    assert Counter(answer.status_code for answer in answers) == {401: 7, 429: 53}
    assert guarded.state.hasher.verified == 7
    elsewhere = await guesses(guarded, accounts[:1], ["203.0.113.2"])
    assert elsewhere[0].status_code == 401


async def test_a_blocked_address_locks_nobody_out(app: FastAPI, user: Actor) -> None:
    """What its limit refuses is not counted against the account."""
    guarded = throttled(app, account="5/hour", address="3/hour")
    answers = await guesses(guarded, [user.email] * 60, ["203.0.113.1"] * 60)
    assert Counter(answer.status_code for answer in answers) == {401: 3, 429: 57}
    owner = factories.client(guarded, address="203.0.113.2")
    assert (await sign_in(owner, user.email, PASSWORD)).status_code == 200


async def test_the_right_password_is_no_guess_too_many_for_the_account(app: FastAPI, user: Actor) -> None:
    guarded = throttled(app, account="3/hour")
    client = factories.client(guarded)
    for _ in range(3):
        statuses = [(await sign_in(client, user.email)).status_code for _ in range(2)]
        statuses.append((await sign_in(client, user.email, PASSWORD)).status_code)
        assert statuses == [401, 401, 200]


async def test_only_wrong_passwords_count_against_the_address(app: FastAPI, user: Actor) -> None:
    guarded = throttled(app, account="10000/hour", address="3/hour")
    client = factories.client(guarded)
    statuses = [(await sign_in(client, user.email, word)).status_code for word in [PASSWORD, "wrong"] * 4]
    assert statuses == [200, 401, 200, 401, 200, 401, 429, 429]


async def test_of_many_right_passwords_at_once_no_more_than_the_limit_is_under_way(app: FastAPI, user: Actor) -> None:
    """And what a sign-in gives back is what it took."""
    guarded = throttled(app, account="10000/hour", address="5/hour")
    clients = [factories.client(guarded) for _ in range(60)]
    answers = await asyncio.gather(*(sign_in(client, user.email, PASSWORD) for client in clients))
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert guarded.state.hasher.most_at_once <= 5
    left = [(await sign_in(clients[0], factories.email())).status_code for _ in range(6)]
    assert left == [401] * 5 + [429]


async def test_the_owner_is_let_in_when_the_back_off_ends(app: FastAPI, user: Actor) -> None:
    """However often it was tried meanwhile: what is refused prolongs nothing."""
    guarded = throttled(app, account="2/second")
    client = factories.client(guarded)

    async def is_refused() -> bool:
        return (await sign_in(client, user.email)).status_code == 429

    async def is_let_in() -> bool:
        return (await sign_in(client, user.email, PASSWORD)).status_code == 200

    await until(is_refused)
    await until(is_let_in)


@pytest.mark.slow
async def test_the_back_off_grows(app: FastAPI, user: Actor) -> None:
    """A short window, and a long one for whoever keeps on guessing in each of them."""
    guarded = throttled(app, account="2/second,6/hour")
    client = factories.client(guarded)

    async def wait_s() -> int:
        return int((await sign_in(client, user.email)).headers.get("Retry-After", 0))

    async def is_the_long_wait() -> bool:
        return await wait_s() > 3000

    await until(is_the_long_wait)
    assert guarded.state.hasher.verified == 6


async def test_both_ways_to_sign_in_share_the_count(app: FastAPI, user: Actor) -> None:
    guarded = throttled(app, account="2/hour")
    client = factories.client(guarded)
    form = {"username": user.email, "password": "wrong password"}
    statuses = [
        (await client.post(f"{AUTH}/token", data=form)).status_code,
        (await sign_in(client, user.email)).status_code,
        (await client.post(f"{AUTH}/token", data=form | {"password": PASSWORD})).status_code,
        (await sign_in(client, user.email, PASSWORD)).status_code,
    ]
    assert statuses == [401, 401, 429, 429]


@pytest.mark.parametrize(("method", "field"), [("PATCH", "current_password"), ("DELETE", "password")])
async def test_whoever_has_a_token_cannot_guess_its_password(
    app: FastAPI, user: Actor, method: str, field: str
) -> None:
    guarded = throttled(app)
    clients = [factories.client(guarded, user.token) for _ in range(60)]
    answers = await asyncio.gather(
        *(client.request(method, ME, json={field: f"wrong password {n}"}) for n, client in enumerate(clients))
    )
    assert Counter(answer.status_code for answer in answers) == {403: 5, 429: 55}
    assert guarded.state.hasher.verified == 5
    assert (await clients[0].request(method, ME, json={field: PASSWORD})).status_code == 429
    assert (await clients[0].get(ME)).status_code == 200


async def test_the_right_password_there_forgets_the_wrong_ones(app: FastAPI, user: Actor) -> None:
    mine = factories.client(throttled(app, account="2/hour"), user.token)
    for _ in range(3):
        assert (await mine.patch(ME, json={"current_password": "wrong password"})).status_code == 403
        assert (await mine.patch(ME, json={"current_password": PASSWORD})).status_code == 200


async def test_no_address_stands_among_the_counters(app: FastAPI, user: Actor) -> None:
    guarded = throttled(app)
    await sign_in(factories.client(guarded), user.email)
    keys = guarded.state.counters._memory.windows
    assert keys
    assert user.email not in str(keys)
