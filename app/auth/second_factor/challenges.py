"""Challenges: what stands between the right password and the tokens, for whoever has a second factor."""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import SignInChallenge
from app.auth.schemas import ChallengeResponse
from app.core.database import Reader, rows_changed, utcnow
from app.core.errors import Unauthorized
from app.core.security import hash_token, new_token

LIFETIME = timedelta(minutes=5)
MAX_GUESSES = 5

# One answer for an unknown, expired, used and guessed-out challenge.
OVER = "The sign-in is over, begin it again"


async def open_challenge(db: AsyncSession, user_id: int) -> ChallengeResponse:
    """What whoever knows the password is asked. Its token is opaque: it is no access token, and opens nothing alone."""
    token = new_token()
    db.add(SignInChallenge(token_hash=hash_token(token), user_id=user_id, expires_at=utcnow() + LIFETIME))
    await db.flush()
    return ChallengeResponse(challenge_token=token, expires_in=int(LIFETIME.total_seconds()))


async def challenged_user(read: Reader, token: str) -> int:
    """The id of the user who is asked. Raises Unauthorized."""
    challenge = await read.one(select(SignInChallenge.user_id).where(*_is_open(token)))
    if challenge is None:
        raise Unauthorized(OVER)
    return challenge.user_id


async def count_guess(db: AsyncSession, token: str) -> None:
    """Raises Unauthorized when the challenge has had its guesses, or is over."""
    statement = update(SignInChallenge).where(*_is_open(token), SignInChallenge.guesses < MAX_GUESSES)
    if not await rows_changed(db, statement.values(guesses=SignInChallenge.guesses + 1)):
        raise Unauthorized(OVER)


async def close_challenge(db: AsyncSession, token: str) -> None:
    """Of several who answer it at once one closes it. Raises Unauthorized to the others."""
    if not await rows_changed(db, delete(SignInChallenge).where(*_is_open(token))):
        raise Unauthorized(OVER)


def _is_open(token: str) -> tuple[ColumnElement[bool], ...]:
    return SignInChallenge.token_hash == hash_token(token), SignInChallenge.expires_at > utcnow()
