"""Who is calling: `CurrentUser` and `Superuser`; for the account's own endpoints `SignedInUser` and `SessionUser`.

A bearer token is a session's JWT or an API key. A key acts as its user, a superuser's rights included, as far as its
scope goes; what changes the account itself takes a `SessionUser`.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase
from sqlalchemy import bindparam, or_, select

from app.api_keys.models import WRITE, ApiKey, is_key, prefix_of
from app.auth.identity_cache import IdentityCache
from app.auth.models import AuthSession, User
from app.core.database import Reader, Row, utcnow
from app.core.errors import Forbidden, Unauthorized
from app.core.policy import authenticates, for_sessions, for_superusers
from app.core.rate_limit import RateLimit, enforce
from app.core.security import hash_token

READING = ("GET", "HEAD")
ACCOUNT = (User.id, User.email, User.is_active, User.is_superuser, User.created_at, User.email_verified_at)
SESSION_AND_USER = (
    select(*ACCOUNT, AuthSession.id.label("session_id"), AuthSession.expires_at)
    .join(AuthSession, AuthSession.user_id == User.id)
    .where(AuthSession.id == bindparam("session_id"), AuthSession.expires_at > bindparam("now"), User.is_active)
)
KEY_AND_USER = (
    select(*ACCOUNT, ApiKey.id.label("key_id"), ApiKey.key_hash, ApiKey.scope, ApiKey.expires_at)
    .join(ApiKey, ApiKey.user_id == User.id)
    .where(
        ApiKey.prefix == bindparam("prefix"),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
        User.is_active,
    )
)

# For what needs no signing in and is worth trying often: each address, at each such route.
LIMITED_BY_ADDRESS = Depends(RateLimit(lambda settings: settings.rate_limit_auth))

bearer_token = OAuth2PasswordBearer("/api/v1/auth/token", auto_error=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a request, and the session that its token names, or the scope of its API key."""

    id: int
    email: str
    is_active: bool
    is_superuser: bool
    created_at: datetime
    email_verified_at: datetime | None
    session_id: UUID | None = None
    key_id: int | None = None
    key_scope: str | None = None


@authenticates
class SignedIn(SecurityBase):
    """The user whose token this is, while its session or key lives and the account is active: one query, or none.

    It is the document's security scheme and reads the token itself: each dependency costs every request anew.
    """

    def __init__(self, *, verified: bool) -> None:
        self.model, self.scheme_name = bearer_token.model, bearer_token.scheme_name
        self._verified = verified

    async def __call__(self, request: Request) -> Identity:
        token = await bearer_token(request)
        if token is None:
            raise Unauthorized
        identities: IdentityCache = request.app.state.identities
        identity = identities.find(token, datetime.now(UTC)) or await _look_up(request, token, identities)
        if identity.key_id is not None:
            request.app.state.key_uses.note(identity.key_id)
        request.state.user_id = identity.id
        if identity.key_scope not in (None, WRITE) and request.method not in READING:
            raise Forbidden("Not authorized: the key may only read")
        await enforce(request, "user", request.app.state.settings.rate_limit_user, str(identity.id))
        if self._verified and identity.email_verified_at is None:
            require_verified(request, identity)
        return identity


def require_verified(request: Request, user: Identity) -> None:
    """Raises Forbidden where REQUIRE_VERIFIED_EMAIL wants an address that is verified, and the user's is not."""
    if user.email_verified_at is None and request.app.state.settings.require_verified_email:
        raise Forbidden("Not authorized: verify your email address first")


async def _look_up(request: Request, token: str, identities: IdentityCache) -> Identity:
    lookup, read = identities.begin(), request.app.state.database.read
    identity, expires_at = await (_of_key if is_key(token) else _of_session)(request, token, read)
    lookup.keep(token, identity, expires_at)
    return identity


async def _of_session(request: Request, token: str, read: Reader) -> tuple[Identity, datetime | None]:
    now = utcnow()
    claims = request.app.state.tokens.read(token, now)
    row = await read.one(SESSION_AND_USER, session_id=claims.session_id, now=now)
    if row is None:
        raise Unauthorized("The session has ended")
    return identity_of(row, session_id=row.session_id), min(claims.expires_at, row.expires_at)


async def _of_key(_: Request, token: str, read: Reader) -> tuple[Identity, datetime | None]:
    prefix = prefix_of(token)
    row = await read.one(KEY_AND_USER, prefix=prefix, now=utcnow()) if prefix else None
    if row is None or not hmac.compare_digest(row.key_hash, hash_token(token)):
        raise Unauthorized("Invalid, expired or revoked API key")
    return identity_of(row, key_id=row.key_id, key_scope=row.scope), row.expires_at


def identity_of(row: Row, **how: Any) -> Identity:
    return Identity(**{column.key: getattr(row, column.key) for column in ACCOUNT}, **how)


# Whoever is signed in, for what an account does about itself; everything else takes CurrentUser.
signed_in_user = SignedIn(verified=False)
SignedInUser = Annotated[Identity, Depends(signed_in_user)]

current_user = SignedIn(verified=True)
CurrentUser = Annotated[Identity, Depends(current_user)]


async def user_id(user: CurrentUser) -> int:
    """For limits of each user: `RateLimit("10/hour", by=user_id)`."""
    return user.id


@for_sessions
async def session_user(user: SignedInUser) -> Identity:
    if user.session_id is None:
        raise Forbidden("Not authorized: this needs a signed-in session, not an API key")
    return user


SessionUser = Annotated[Identity, Depends(session_user)]


@for_superusers
async def superuser(user: CurrentUser) -> Identity:
    if not user.is_superuser:
        raise Forbidden("Not authorized: this is for superusers")
    return user


Superuser = Annotated[Identity, Depends(superuser)]
