"""Accounts: register, sign in and out, one's own account and sessions."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.auth import service
from app.auth.dependencies import LIMITED_BY_ADDRESS, Identity, SessionUser, SignedInUser
from app.auth.hashing import Hasher
from app.auth.models import AuthSession, User, end_sessions, keep_a_superuser, lock_superusers
from app.auth.passwords import check_password
from app.auth.recovery import router as recovery
from app.auth.schemas import (
    AccountDelete,
    AccountUpdate,
    ChallengeResponse,
    Credentials,
    PasswordForm,
    Refresh,
    SessionQuery,
    SessionResponse,
    TokenResponse,
    UserResponse,
)
from app.auth.second_factor.router import router as second_factor
from app.auth.second_factor.service import active_factor
from app.auth.sessions import refresh_session
from app.auth.tasks import send_account_changed, send_verification
from app.core import audit
from app.core.config import AppSettings
from app.core.database import DbSession, PrimaryReadSession, Row, utcnow
from app.core.db.errors import is_taken
from app.core.errors import Conflict, Forbidden, Unauthorized, documented
from app.core.jobs import enqueue
from app.core.ownership import lock_row
from app.core.pagination import Page
from app.core.policy import public
from app.core.routing import IfMatch, Router
from app.core.schemas import normalize_email

router = Router(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=201, response_model=UserResponse, dependencies=[LIMITED_BY_ADDRESS])
@public
async def register(body: Credentials, request: Request, db: DbSession, hasher: Hasher, settings: AppSettings) -> User:
    """Make an account."""
    user = await service.register(db, hasher, settings, body.email, body.password.get_secret_value())
    audit.record(db, request, "registered", user_id=user.id)
    return user


@router.post("/login", responses=documented(Unauthorized), dependencies=[LIMITED_BY_ADDRESS])
@public
async def login(
    body: Credentials, request: Request, db: DbSession, read: PrimaryReadSession, hasher: Hasher
) -> TokenResponse | ChallengeResponse:
    """Sign in with a JSON body. An account with a second factor is asked for it, and answers a second request."""
    return await service.sign_in(db, read, hasher, request, body.email, body.password.get_secret_value())


@router.post("/token", responses=documented(Unauthorized, Forbidden), dependencies=[LIMITED_BY_ADDRESS])
@public
async def token(
    form: Annotated[PasswordForm, Form()],
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
) -> TokenResponse:
    """Sign in with OAuth2's password form, as the docs' Authorize button does; the username is the email.

    The form has no place for a second factor: an account that has one is 403 here, and signs in at /auth/login.
    """
    try:
        email = normalize_email(form.username)
    except PydanticCustomError:
        raise Unauthorized(service.WRONG_CREDENTIALS) from None
    answer = await service.sign_in(db, read, hasher, request, email, form.password.get_secret_value())
    if isinstance(answer, ChallengeResponse):
        raise Forbidden("Not authorized: this account has a second factor, sign in with POST /api/v1/auth/login")
    return answer


@router.post("/refresh", responses=documented(Unauthorized), dependencies=[LIMITED_BY_ADDRESS])
@public
async def refresh(body: Refresh, request: Request) -> TokenResponse:
    """Renew the tokens, each refresh token once: one that is sent again ends its session."""
    return await refresh_session(request.app.state.database, request, body.refresh_token.get_secret_value())


@router.post("/logout", status_code=204)
async def logout(user: SessionUser, request: Request, db: DbSession) -> None:
    """Sign this device out: its access and refresh tokens are dead at once."""
    await db.delete(await lock_row(db, AuthSession, user.session_id, user))
    audit.record(db, request, "signed_out", user_id=user.id, session_id=user.session_id)


@router.get("/me", response_model=UserResponse)
async def get_me(user: SignedInUser) -> Identity:
    """Your account."""
    return user


@router.patch("/me", response_model=UserResponse)
async def update_me(
    body: AccountUpdate,
    user: SessionUser,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
    settings: AppSettings,
    if_match: IfMatch,
) -> User:
    """Change your email or password, which signs your other devices out; a new email is to be verified again."""
    known_hash = await service.verify_own_password(
        request, read, hasher, user, body.current_password.get_secret_value()
    )
    new_hash = None
    if "password" in body.model_fields_set:
        password = body.password.get_secret_value()
        check_password(password, body.email or user.email, settings)
        new_hash = await hasher.hash(password)
    account = await service.lock_account(db, user, known_hash)
    if_match.check(UserResponse, account)
    known_email = account.email
    if "email" in body.model_fields_set and body.email != known_email:
        if await active_factor(db, account.id):
            raise Conflict("Turn the second factor off first, and on again when the new address is verified")
        account.email, account.email_verified_at = body.email, None
        try:
            await db.flush()
        except IntegrityError as error:
            if not is_taken(error):
                raise
            raise Conflict("Email already registered") from None
        await _changed(db, request, user, known_email, "email address")
        enqueue(db, send_verification, user_id=user.id)
    if new_hash:
        account.hashed_password = new_hash
        await _changed(db, request, user, known_email, "password")
    await db.flush()
    return account


@router.delete("/me", status_code=204)
async def delete_me(
    body: AccountDelete,
    user: SessionUser,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
    if_match: IfMatch,
) -> None:
    """Delete your account and everything that is yours."""
    known_hash = await service.verify_own_password(request, read, hasher, user, body.password.get_secret_value())
    if user.is_superuser:
        await lock_superusers(db)
    account = await service.lock_account(db, user, known_hash)
    if_match.check(UserResponse, account)
    await db.delete(account)
    if user.is_superuser:
        await keep_a_superuser(db)
    audit.record(db, request, "account_deleted", user_id=user.id, session_id=user.session_id)


@router.get("/sessions", response_model=list[SessionResponse])
async def list_sessions(
    query: Annotated[SessionQuery, Query()], user: SessionUser, read: PrimaryReadSession, page: Page
) -> Sequence[Row]:
    """The devices where you are signed in, the newest first."""
    mine = select(AuthSession).where(AuthSession.user_id == user.id, AuthSession.expires_at > utcnow())
    sessions = await page.fetch(read, mine, query)
    for session in sessions:
        session.is_current = session.id == user.session_id
    return sessions


@router.delete("/sessions", status_code=204)
async def end_all_sessions(user: SessionUser, request: Request, db: DbSession) -> None:
    """Sign all your devices out, this one too."""
    await end_sessions(db, user.id)
    audit.record(db, request, "signed_out", user_id=user.id, session_id=user.session_id, sessions="all")


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: UUID, user: SessionUser, request: Request, db: DbSession) -> None:
    """Sign one device out."""
    session = await lock_row(db, AuthSession, session_id, user)
    await db.delete(session)
    audit.record(
        db, request, "signed_out", user_id=session.user_id, actor_id=user.id, session_id=session.id, sessions="one"
    )


async def _changed(
    db: DbSession, request: Request, user: Identity, known_email: str, changed: Literal["email address", "password"]
) -> None:
    """What follows from a change that somebody else may have made: the other devices are out, and the owner hears."""
    await end_sessions(db, user.id, keep=user.session_id)
    enqueue(db, send_account_changed, to=known_email, changed=changed)
    event = "password_changed" if changed == "password" else "email_changed"
    audit.record(db, request, event, user_id=user.id, session_id=user.session_id)


# Not include_router: it would build each of them once more, a hundredth of a start.
router.routes += recovery.routes + second_factor.routes
