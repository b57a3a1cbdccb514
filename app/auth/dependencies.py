"""Who is calling: `CurrentUser` and `Superuser`, and `SignedInUser` for the account's own endpoints."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import select

from app.auth.models import AuthSession, User
from app.core import idempotency
from app.core.config import AppSettings
from app.core.database import ReadSession, utcnow
from app.core.errors import Forbidden, Unauthorized
from app.core.policy import authenticates, for_superusers
from app.core.security import read_access_token

bearer_token = OAuth2PasswordBearer("/api/v1/auth/token", auto_error=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The signed-in user of a request, and the session that its token names."""

    id: int
    email: str
    is_active: bool
    is_superuser: bool
    created_at: datetime
    email_verified_at: datetime | None
    session_id: UUID


@authenticates
async def signed_in_user(
    request: Request, token: Annotated[str | None, Depends(bearer_token)], read: ReadSession
) -> Identity:
    """The user whose token this is, while its session lives and the account is active: one query."""
    if token is None:
        raise Unauthorized
    claims = read_access_token(token, request.app.state.settings)
    row = await read.one(
        select(
            User.id,
            User.email,
            User.is_active,
            User.is_superuser,
            User.created_at,
            User.email_verified_at,
            AuthSession.id.label("session_id"),
        )
        .join(AuthSession, AuthSession.user_id == User.id)
        .where(AuthSession.id == claims.session_id, AuthSession.expires_at > utcnow(), User.is_active)
    )
    if row is None:
        raise Unauthorized("The session has ended")
    request.state.user_id = row.id
    await idempotency.refuse_repeated(request, row.id, read)
    return Identity(**vars(row))


# Whoever is signed in, for what an account does about itself; everything else takes CurrentUser.
SignedInUser = Annotated[Identity, Depends(signed_in_user)]


async def current_user(user: SignedInUser, settings: AppSettings) -> Identity:
    """The same, with a verified address where REQUIRE_VERIFIED_EMAIL wants one."""
    if settings.require_verified_email and user.email_verified_at is None:
        raise Forbidden("Not authorized: verify your email address first")
    return user


CurrentUser = Annotated[Identity, Depends(current_user)]


@for_superusers
async def superuser(user: CurrentUser) -> Identity:
    if not user.is_superuser:
        raise Forbidden("Not authorized: this is for superusers")
    return user


Superuser = Annotated[Identity, Depends(superuser)]
