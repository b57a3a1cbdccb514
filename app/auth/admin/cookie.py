"""The admin's cookie: a token of a session, kept where no script can read it.

It is of a kind of its own: it is no bearer token, and no bearer token lives on by it.
"""

from datetime import timedelta
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import update

from app.auth.models import AuthSession
from app.core.admin.address import address
from app.core.config import Settings
from app.core.database import rows_changed, transaction, utcnow
from app.core.security import ADMIN, AccessToken, create_access_token, read_access_token

NAME = "admin_session"


def name(settings: Settings) -> str:
    """With the prefix that has browsers refuse it where it is not Secure (RFC 6265bis, 4.1.3)."""
    return f"__Secure-{NAME}" if settings.environment == "production" else NAME


def is_sent(request: Request) -> bool:
    return name(request.app.state.settings) in request.cookies


def read(request: Request) -> AccessToken:
    """Raises Unauthorized when there is none that is good."""
    settings: Settings = request.app.state.settings
    return read_access_token(request.cookies.get(name(settings), ""), settings, ADMIN)


def keep(response: Response, request: Request, email: str, session_id: UUID) -> None:
    settings: Settings = request.app.state.settings
    response.set_cookie(
        name(settings),
        create_access_token(email, session_id, utcnow(), settings, ADMIN),
        max_age=settings.access_token_expire_minutes * 60,
        path=address(request),
        secure=settings.environment == "production",
        httponly=True,
        samesite="strict",
    )


def forget(response: Response, request: Request) -> None:
    settings: Settings = request.app.state.settings
    is_secure = settings.environment == "production"
    response.delete_cookie(name(settings), path=address(request), secure=is_secure, httponly=True, samesite="strict")


async def renew(response: Response, request: Request) -> None:
    """Another token of the same session, at half of the first one's time: whoever works here stays signed in, and
    whoever goes away is signed out after ACCESS_TOKEN_EXPIRE_MINUTES."""
    settings: Settings = request.app.state.settings
    token: AccessToken = request.state.admin_token
    left = token.expires_at - utcnow()
    if left < timedelta(minutes=settings.access_token_expire_minutes) / 2 and await _is_in_use(request, token):
        keep(response, request, request.state.admin_user.email, token.session_id)


async def _is_in_use(request: Request, token: AccessToken) -> bool:
    """Written down, as a refresh writes it; not so for a session that has ended meanwhile."""
    used = update(AuthSession).where(AuthSession.id == token.session_id).values(last_used_at=utcnow())
    async with transaction(request) as db:
        return await rows_changed(db, used) == 1
