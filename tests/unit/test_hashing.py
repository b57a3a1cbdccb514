"""The threads that hash: bounded, and honest about it."""

import asyncio

import bcrypt
import pytest

from app.auth import hashing
from app.auth.hashing import PasswordHasher
from app.core.errors import Unavailable


async def test_too_many_hashes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING", 5)
    hasher = PasswordHasher(4)
    results = await asyncio.gather(*(hasher.hash("x") for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 5
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 15
    assert refused[0].headers == {"Retry-After": "1"}
    assert await hasher.verify("x", await hasher.hash("x"))
    hasher.close()


async def test_without_a_hash_as_much_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: else a sign-in would tell by its time whether the address has an account. Promise 9."""
    costs: list[bytes] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        costs.append(salt[:7])
        return hashpw(password, salt)

    hasher = PasswordHasher(5)
    known = await hasher.hash("known")
    monkeypatch.setattr(bcrypt, "hashpw", counted)
    for hashed in (known, None):
        assert not await hasher.verify("wrong", hashed)
    assert costs == [b"$2b$05$"] * 2
    hasher.close()


async def test_without_a_hash_nothing_matches() -> None:
    hasher = PasswordHasher(4)
    assert not await hasher.verify("", None)
    hasher.close()
