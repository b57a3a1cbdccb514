"""Tokens that were right are remembered, few of them, and no longer than they say."""

from datetime import timedelta
from uuid import uuid4

import pytest

from app.auth import verified_tokens
from app.auth.verified_tokens import VerifiedTokens
from app.core.database import utcnow
from app.core.errors import Unauthorized
from app.core.security import create_access_token
from tests import factories
from tests.waiting import until_sync

SETTINGS = factories.settings(database_url="sqlite:///./never-opened.db")


def token(expires_in: timedelta = timedelta(minutes=30)) -> str:
    issued = utcnow() + expires_in - timedelta(minutes=SETTINGS.access_token_expire_minutes)
    return create_access_token("a@example.com", uuid4(), issued, SETTINGS)


def test_a_token_that_was_right_is_not_right_for_ever() -> None:
    tokens, short = VerifiedTokens(SETTINGS), token(timedelta(seconds=2))
    assert tokens.read(short, utcnow()) is tokens.read(short, utcnow())

    def is_over() -> bool:
        try:
            tokens.read(short, utcnow())
        except Unauthorized:
            return True
        return False

    until_sync(is_over)
    assert len(tokens) == 0


def test_a_token_that_resembles_one_that_was_right_is_not() -> None:
    tokens, good = VerifiedTokens(SETTINGS), token()
    tokens.read(good, utcnow())
    for bad in (good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), good + "=", good.upper(), ""):
        with pytest.raises(Unauthorized):
            tokens.read(bad, utcnow())
    assert len(tokens) == 1


def test_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_tokens, "MAX_REMEMBERED", 20)
    tokens, first = VerifiedTokens(SETTINGS), token()
    claims = tokens.read(first, utcnow())
    for _ in range(40):
        tokens.read(token(), utcnow())
        assert len(tokens) <= 20
    assert tokens.read(first, utcnow()) is not claims
