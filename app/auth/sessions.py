"""The devices that are signed in: their tokens, and how those are renewed."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import AuthSession, RefreshToken, User
from app.auth.schemas import TokenResponse
from app.core import audit
from app.core.client import client_address
from app.core.config import Settings
from app.core.database import Database, utcnow
from app.core.errors import Unauthorized
from app.core.security import create_access_token, hash_token, new_token


async def start_session(db: AsyncSession, user: Any, request: Request) -> TokenResponse:
    """Sign a device in."""
    session = await open_session(db, user.id, request)
    return await _tokens(db, request.app.state.settings, session, user.email)


async def open_session(db: AsyncSession, user_id: int, request: Request) -> AuthSession:
    """Without any token."""
    settings: Settings = request.app.state.settings
    now = utcnow()
    session = AuthSession(
        id=uuid4(),
        user_id=user_id,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=settings.refresh_token_expire_days),
        **_device(request),
    )
    db.add(session)
    await db.flush()
    audit.record(db, request, "signed_in", user_id=user_id, session_id=session.id)
    return session


def idle_since(settings: Settings) -> datetime:
    """A session that was last used before is over."""
    return utcnow() - timedelta(days=settings.session_idle_days)


async def refresh_session(database: Database, request: Request, refresh_token: str) -> TokenResponse:
    """New tokens for old. Of several requests with one token at once one gets them, and the others nothing.

    A request that comes with a token after it was used is a thief's, or the owner's after a thief's: it ends the
    session for both (RFC 9700, 4.14.2), in a transaction of its own: it is committed although the answer is an error.

    Raises:
        Unauthorized: no refresh token, or used, or of a session that has ended.
    """
    came_at, token_hash = utcnow(), hash_token(refresh_token)
    known = await database.read.one(select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash))
    tokens = None
    if known is not None:
        async with database.sessions.begin() as db:
            tokens = await _rotate(db, request, known.session_id, token_hash, came_at)
    if tokens is None:
        raise Unauthorized("Invalid or expired refresh token")
    return tokens


async def _rotate(
    db: AsyncSession, request: Request, session_id: UUID, token_hash: str, came_at: datetime
) -> TokenResponse | None:
    settings: Settings = request.app.state.settings
    # The session first: all who refresh or end it wait for each other here, in one order.
    session = await db.scalar(select(AuthSession).where(AuthSession.id == session_id).with_for_update())
    token = await db.get(RefreshToken, token_hash)
    if session is None or token is None:
        return None
    user = await db.scalar(select(User).where(User.id == session.user_id, User.is_active))
    if user is None or session.expires_at <= utcnow() or session.last_used_at <= idle_since(settings):
        return None
    if token.used_at is not None and token.used_at > came_at:
        return None  # it lost a race
    if token.used_at is not None:
        audit.record(db, request, "refresh_token_reused", user_id=user.id, session_id=session.id)
        await db.delete(session)
        return None
    token.used_at = session.last_used_at = utcnow()
    for name, value in _device(request).items():
        setattr(session, name, value)
    return await _tokens(db, settings, session, user.email)


async def _tokens(db: AsyncSession, settings: Settings, session: AuthSession, email: str) -> TokenResponse:
    refresh_token = new_token()
    db.add(RefreshToken(token_hash=hash_token(refresh_token), session_id=session.id))
    await db.flush()
    return TokenResponse(
        access_token=create_access_token(email, session.id, utcnow(), settings),
        expires_in=settings.access_token_expire_minutes * 60,
        refresh_token=refresh_token,
    )


def _device(request: Request) -> dict[str, str | None]:
    return {"user_agent": audit.user_agent(request), "ip_address": client_address(request)}
