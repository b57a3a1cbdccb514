"""A sign-in takes as long whoever tries: what is computed is counted, since a time would be a guess. Promise 9."""

import bcrypt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from app.auth.hashing import PasswordHasher
from app.auth.models import User
from tests import factories
from tests.factories import PASSWORD, Actor


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The cost of each hash that was computed: `$2b$04$`."""
    found: list[bytes] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        found.append(salt[:7])
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    return found


async def test_a_sign_in_costs_one_hash_whoever_tries(
    app: FastAPI, client: AsyncClient, user: Actor, other: Actor, costs: list[bytes]
) -> None:
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == other.id).values(is_active=False))
    for email, password, status in [
        (user.email, PASSWORD, 200),
        (user.email, "wrong password", 401),
        ("nobody@example.com", PASSWORD, 401),
        (other.email, PASSWORD, 401),
        (other.email, "wrong password", 401),
    ]:
        costs.clear()
        as_json = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
        as_form = await client.post("/api/v1/auth/token", data={"username": email, "password": password})
        assert (as_json.status_code, as_form.status_code) == (status, status)
        assert costs == [b"$2b$04$"] * 2, f"{email} with {password}"


@pytest.mark.parametrize("imported", [False, True])
async def test_a_wrong_password_costs_as_much_after_a_change_of_the_rounds(
    app: FastAPI, user: Actor, costs: list[bytes], imported: bool
) -> None:
    """Whoever has not signed in since has a hash of before: an answer that comes sooner would tell of the account."""
    if imported:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        await factories.change(user, hashed_password=hashed)
    other = factories.configured(app)
    other.state.hasher = PasswordHasher(rounds=6)
    sums = []
    for email in (user.email, "nobody@example.com"):
        costs.clear()
        sent = {"email": email, "password": "wrong password"}
        assert (await factories.client(other).post("/api/v1/auth/login", json=sent)).status_code == 401
        sums.append(sum(2 ** int(cost[4:6]) for cost in costs))
    other.state.hasher.close()
    # What is imported is compared by bcrypt's own function, which is not counted here.
    assert sums == [2**6 - (2**4 if imported else 0), 2**6]
