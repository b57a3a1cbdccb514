"""Registering, signing in and proving it again: what the endpoints and the command line share."""

from typing import Literal

from fastapi import Request
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import throttle
from app.auth.dependencies import Identity
from app.auth.hashing import PasswordHasher
from app.auth.models import AuthSession, User
from app.auth.passwords import check_password
from app.auth.schemas import ChallengeResponse, TokenResponse
from app.auth.second_factor.challenges import open_challenge
from app.auth.second_factor.service import active_factor
from app.auth.sessions import start_session
from app.auth.tasks import send_verification
from app.core import audit
from app.core.config import Settings
from app.core.database import Reader, Row
from app.core.db.errors import is_taken
from app.core.errors import Conflict, Forbidden, Unauthorized
from app.core.jobs import enqueue
from app.core.security import needs_rehash

# One answer for an unknown address, a wrong password and a deactivated account (OWASP Authentication Cheat Sheet).
WRONG_CREDENTIALS = "Incorrect email or password"
SESSION_ENDED = "The session has ended"


async def register(db: AsyncSession, hasher: PasswordHasher, settings: Settings, email: str, password: str) -> User:
    """A new account.

    Raises:
        Invalid: the password is not good enough.
        Conflict: the address has an account.
    """
    check_password(password, email, settings)
    user = User(email=email, hashed_password=await hasher.hash(password))
    db.add(user)
    try:
        await db.flush()
    except IntegrityError as error:
        if not is_taken(error):
            raise
        raise Conflict("Email already registered") from None
    enqueue(db, send_verification, user_id=user.id)
    return user


async def sign_in(
    db: AsyncSession, read: Reader, hasher: PasswordHasher, request: Request, email: str, password: str
) -> TokenResponse | ChallengeResponse:
    """A new session with its tokens, or the question for the second factor. Raises as `prove_password` does."""
    proven = await prove_password(db, read, hasher, request, email, password)
    return proven if isinstance(proven, ChallengeResponse) else await start_session(db, proven, request)


async def prove_password(
    db: AsyncSession, read: Reader, hasher: PasswordHasher, request: Request, email: str, password: str
) -> Row | ChallengeResponse:
    """Whose password it is, or the question for the second factor.

    No connection is held while the password is hashed.

    Raises:
        TooManyRequests: the account or the client's address has had too many wrong ones.
        Unauthorized: whatever is wrong with the credentials.
    """
    await throttle.count_try(request, email)
    user = await read.one(select(User.id, User.email, User.hashed_password, User.is_active).where(User.email == email))
    matches = await hasher.verify(password, user.hashed_password if user else None)
    if user is None or not matches or not user.is_active:
        await note_failure(request, user.id if user else None, "password")
        raise Unauthorized(WRONG_CREDENTIALS)
    new_hash = await hasher.hash(password) if needs_rehash(user.hashed_password, hasher.rounds) else None
    await _lock_unchanged(db, user)
    if new_hash:
        await db.execute(update(User).where(User.id == user.id).values(hashed_password=new_hash))
    await throttle.forgive(request, email)
    # Asked under the lock: a factor that is turned on meanwhile ends the session or is seen.
    if await active_factor(db, user.id):
        return await open_challenge(db, user.id)
    return user


async def note_failure(request: Request, user_id: int | None, step: Literal["password", "second_factor"]) -> None:
    """In a transaction of its own: the answer is an error. For an unknown address too, so that it takes as long."""
    request.app.state.metrics.login_failed(step)
    async with request.app.state.database.sessions.begin() as db:
        audit.record(db, request, "sign_in_failed", user_id=user_id)


async def _lock_unchanged(db: AsyncSession, user: Row) -> None:
    """The password was verified outside the transaction: one changed meanwhile must not open a session any more."""
    statement = select(User.hashed_password).where(User.id == user.id, User.is_active).with_for_update()
    if await db.scalar(statement) != user.hashed_password:
        raise Unauthorized(WRONG_CREDENTIALS)


async def verify_own_password(
    request: Request, read: Reader, hasher: PasswordHasher, user: Identity, password: str
) -> str:
    """The account's hash, when the password is its own. Raises Forbidden when it is not."""
    await throttle.count_try(request, user.email, by_address=False)
    account = await read.one(select(User.hashed_password).where(User.id == user.id))
    if account is None:
        raise Unauthorized(SESSION_ENDED)
    if not await hasher.verify(password, account.hashed_password):
        raise Forbidden("Not authorized: the password is wrong")
    await throttle.forgive(request, user.email, by_address=False)
    return account.hashed_password


async def lock_account(db: AsyncSession, user: Identity, known_hash: str) -> User:
    """The account, unless its password has changed since it was verified."""
    statement = select(User).where(User.id == user.id, User.hashed_password == known_hash).with_for_update()
    account = (await db.scalars(statement)).one_or_none()
    if account is None:
        raise Unauthorized(SESSION_ENDED)
    return account


async def lock_signed_in(db: AsyncSession, user: Identity) -> User:
    """The account, unless the session has ended since the request began."""
    account = await db.scalar(select(User).where(User.id == user.id).with_for_update())
    if account is None or await db.scalar(select(AuthSession.id).where(AuthSession.id == user.session_id)) is None:
        raise Unauthorized(SESSION_ENDED)
    return account
