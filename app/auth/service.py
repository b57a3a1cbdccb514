"""Registering and signing in: what the endpoints and the command line share."""

from datetime import timedelta
from uuid import uuid4

from fastapi import Request
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import AuthSession, User
from app.auth.passwords import check_password
from app.auth.schemas import TokenResponse
from app.core.config import Settings
from app.core.database import Reader, Row, utcnow
from app.core.errors import Conflict, Unauthorized
from app.core.hashing import PasswordHasher
from app.core.security import create_access_token, hash_token, needs_rehash, new_token

# One answer for an unknown address, a wrong password and a deactivated account (OWASP Authentication Cheat Sheet).
WRONG_CREDENTIALS = "Incorrect email or password"


async def register(db: AsyncSession, hasher: PasswordHasher, settings: Settings, email: str, password: str) -> User:
    """A new account.

    Raises:
        Invalid: the password is not good enough.
        Conflict: the address has an account.
    """
    check_password(password, email, settings.password_min_length)
    user = User(email=email, hashed_password=await hasher.hash(password))
    db.add(user)
    try:
        await db.flush()
    except IntegrityError:
        raise Conflict("Email already registered") from None
    return user


async def sign_in(
    db: AsyncSession, read: Reader, hasher: PasswordHasher, request: Request, email: str, password: str
) -> TokenResponse:
    """A new session with its tokens. No connection is held while the password is hashed.

    Raises:
        Unauthorized: whatever is wrong with the credentials.
    """
    settings: Settings = request.app.state.settings
    user = await read.one(select(User.id, User.email, User.hashed_password).where(User.email == email))
    matches = await hasher.verify(password, user.hashed_password if user else None)
    if user is None or not matches:
        raise Unauthorized(WRONG_CREDENTIALS)
    new_hash = await hasher.hash(password) if needs_rehash(user.hashed_password, hasher.rounds) else None
    await _lock_unchanged(db, user)
    if new_hash:
        await db.execute(update(User).where(User.id == user.id).values(hashed_password=new_hash))
    return await _start_session(db, settings, user, request)


async def _lock_unchanged(db: AsyncSession, user: Row) -> None:
    """The password was verified outside the transaction: one changed meanwhile must not open a session any more."""
    statement = select(User.hashed_password).where(User.id == user.id, User.is_active).with_for_update()
    if await db.scalar(statement) != user.hashed_password:
        raise Unauthorized(WRONG_CREDENTIALS)


async def _start_session(db: AsyncSession, settings: Settings, user: Row, request: Request) -> TokenResponse:
    now = utcnow()
    refresh_token = new_token()
    session = AuthSession(
        id=uuid4(),
        user_id=user.id,
        refresh_token_hash=hash_token(refresh_token),
        user_agent=_printable(request.headers.get("user-agent")),
        ip_address=request.client.host[:45] if request.client else None,
        created_at=now,
        expires_at=now + timedelta(days=settings.refresh_token_expire_days),
    )
    db.add(session)
    await db.flush()
    return TokenResponse(
        access_token=create_access_token(user.email, session.id, now, settings),
        expires_in=settings.access_token_expire_minutes * 60,
        refresh_token=refresh_token,
    )


def _printable(header: str | None) -> str | None:
    return None if header is None else "".join(filter(str.isprintable, header))[:255]
