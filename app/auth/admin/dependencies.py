"""Who uses the admin: a superuser by the cookie of a session, asked anew at each request."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from sqlalchemy import bindparam

from app.auth.admin import cookie
from app.auth.dependencies import READING, SESSION_AND_USER, Identity, identity_of, require_verified, superuser
from app.auth.models import AuthSession
from app.auth.sessions import idle_since
from app.core.config import AppSettings
from app.core.database import utcnow
from app.core.errors import Forbidden, Unauthorized
from app.core.policy import authenticates, for_sessions, for_superusers
from app.core.rate_limit import enforce

IN_USE = SESSION_AND_USER.where(AuthSession.last_used_at > bindparam("idle_since"))


async def same_origin(request: Request) -> None:
    """No other website's page changes anything, nor reads it where ALLOWED_ORIGINS lets it call the API: browsers say
    whose page sends what is no GET, and whose script reads (OWASP CSRF Cheat Sheet).

    The host alone is compared: behind a proxy that ends TLS the scheme may not be known here.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    if origin is None and request.method in READING:
        is_ours = site in ("same-origin", "none") or _is_followed_link(request)
    else:
        is_ours = site == "same-origin" and _host_of(origin or "") == request.headers.get("host")
    if not is_ours:
        raise Forbidden("This was sent by another website's page")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # no browser says what is none
        return None


def _is_followed_link(request: Request) -> bool:
    """And no picture, frame or script's request: what it shows is for a human's eyes."""
    return (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")) == ("navigate", "document")


SAME_ORIGIN = Depends(same_origin)


@authenticates
@for_sessions
@for_superusers
async def admin_user(request: Request, _: Annotated[None, SAME_ORIGIN], settings: AppSettings) -> Identity:
    """Raises Unauthorized for whoever may not be here, whatever the reason: they are sent to the sign-in.

    The database is asked each time: what remembers who is signed in holds bearer tokens, and none of another kind.
    """
    token = cookie.read(request)
    row = await request.app.state.database.read.one(
        IN_USE, session_id=token.session_id, now=utcnow(), idle_since=idle_since(settings)
    )
    if row is None:
        raise Unauthorized
    user = identity_of(row, session_id=row.session_id)
    request.state.user_id = user.id
    await enforce(request, "user", settings.rate_limit_user, str(user.id))
    try:
        require_verified(request, user)
        await superuser(user)
    except Forbidden:
        raise Unauthorized from None
    request.state.admin_user, request.state.admin_token = user, token
    return user


AdminUser = Annotated[Identity, Depends(admin_user)]
