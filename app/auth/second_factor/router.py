"""The second factor: turned on, asked for at the sign-in, turned off."""

from anyio import to_thread
from fastapi import Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import service as accounts
from app.auth.dependencies import LIMITED_BY_ADDRESS, SessionUser
from app.auth.hashing import Hasher
from app.auth.models import User, end_sessions
from app.auth.schemas import TokenResponse
from app.auth.second_factor import challenges
from app.auth.second_factor.codes import new_secret, provisioning_uri, qr_code
from app.auth.second_factor.dependencies import ProvenFactor
from app.auth.second_factor.models import RecoveryCode, SecondFactor
from app.auth.second_factor.schemas import (
    ChallengeAnswer,
    Confirmation,
    Enrolment,
    EnrolmentResponse,
    RecoveryCodesResponse,
    SecondFactorResponse,
)
from app.auth.second_factor.service import (
    WRONG_CODE,
    active_factor,
    count_guess,
    replace_recovery_codes,
    require_mailbox,
    secret_purpose,
    use_code,
    use_totp,
)
from app.auth.sessions import start_session
from app.auth.tasks import send_second_factor_changed
from app.core import audit
from app.core.config import AppSettings, Settings
from app.core.database import DbSession, PrimaryReadSession, Reader, utcnow
from app.core.errors import Conflict, Forbidden, TooManyRequests, Unauthorized, documented
from app.core.jobs import enqueue
from app.core.policy import public, shows_a_secret
from app.core.routing import Router
from app.core.security import encrypt

router = Router(prefix="/auth", tags=["auth"])

TOO_MANY_GUESSES = documented(TooManyRequests)


@router.post(
    "/login/second-factor", responses=documented(Unauthorized) | TOO_MANY_GUESSES, dependencies=[LIMITED_BY_ADDRESS]
)
@public
async def answer_challenge(
    body: ChallengeAnswer, request: Request, db: DbSession, read: PrimaryReadSession
) -> TokenResponse:
    """Sign in with the second factor, after the password: six digits of the app, or a recovery code."""
    challenge, code = body.challenge_token.get_secret_value(), body.code.get_secret_value()
    return await start_session(db, await prove_challenge(db, read, request, challenge, code), request)


async def prove_challenge(db: AsyncSession, read: Reader, request: Request, challenge: str, code: str) -> User:
    """Who has answered it. Raises Unauthorized, and TooManyRequests."""
    settings: Settings = request.app.state.settings
    user_id = await challenges.challenged_user(read, challenge)
    async with request.app.state.database.sessions.begin() as counting:
        await count_guess(counting, user_id, code)
        await challenges.count_guess(counting, challenge)
    user = await db.scalar(select(User).where(User.id == user_id, User.is_active).with_for_update())
    factor = await active_factor(db, user_id)
    if user is None or factor is None:
        raise Unauthorized(challenges.OVER)
    if not await use_code(db, settings, factor, code):
        await db.rollback()  # SQLite has one writer
        await accounts.note_failure(request, user_id, "second_factor")
        raise Unauthorized(WRONG_CODE.capitalize())
    await challenges.close_challenge(db, challenge)
    return user


@router.get("/second-factor")
async def get_second_factor(user: SessionUser, read: PrimaryReadSession) -> SecondFactorResponse:
    """Whether you are asked for a second factor, and how many recovery codes you have left."""
    factor = await read.one(select(SecondFactor.confirmed_at).where(SecondFactor.user_id == user.id))
    left = await read.count(select(RecoveryCode.code_hash).where(RecoveryCode.user_id == user.id))
    confirmed_at = factor.confirmed_at if factor else None
    return SecondFactorResponse(is_active=bool(confirmed_at), confirmed_at=confirmed_at, recovery_codes_left=left)


@router.post("/second-factor", status_code=201)
@shows_a_secret
async def enrol_second_factor(
    body: Enrolment,
    user: SessionUser,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
    settings: AppSettings,
) -> EnrolmentResponse:
    """Begin to turn the second factor on: add the secret to an app, then confirm one of its codes.

    Your address has to be verified.
    """
    known_hash = await accounts.verify_own_password(request, read, hasher, user, body.password.get_secret_value())
    secret = new_secret()
    uri = provisioning_uri(secret, user.email, settings.app_name)
    image = await to_thread.run_sync(qr_code, uri)
    require_mailbox(await accounts.lock_account(db, user, known_hash))
    factor = await db.get(SecondFactor, user.id)
    if factor is not None and factor.confirmed_at is not None:
        raise Conflict("The second factor is on already")
    if factor is None:
        factor = SecondFactor(user_id=user.id)
        db.add(factor)
    factor.secret = encrypt(secret, secret_purpose(user.id), settings)
    factor.last_step, factor.failures, factor.blocked_until = 0, 0, None
    return EnrolmentResponse(secret=secret, uri=uri, qr_code=image)


@router.post("/second-factor/confirm", responses=TOO_MANY_GUESSES)
@shows_a_secret
async def confirm_second_factor(
    body: Confirmation,
    user: SessionUser,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    settings: AppSettings,
) -> RecoveryCodesResponse:
    """Turn the second factor on by a code of the app; your other devices are signed out."""
    code = body.code.get_secret_value()
    waiting = select(SecondFactor).where(SecondFactor.user_id == user.id, SecondFactor.confirmed_at.is_(None))
    if await read.one(waiting) is None:
        raise Conflict("No second factor waits to be confirmed")
    async with request.app.state.database.sessions.begin() as counting:
        await count_guess(counting, user.id, code)
    require_mailbox(await accounts.lock_signed_in(db, user))
    factor = await db.scalar(waiting)
    if factor is None:
        raise Conflict("No second factor waits to be confirmed")
    if not await use_totp(db, settings, factor, code):
        raise Forbidden(f"Not authorized: {WRONG_CODE}")
    factor.confirmed_at = utcnow()
    codes = await replace_recovery_codes(db, user.id)
    await end_sessions(db, user.id, keep=user.session_id)
    audit.record(db, request, "second_factor_on", user_id=user.id, session_id=user.session_id)
    enqueue(db, send_second_factor_changed, to=user.email, change="turned on")
    return RecoveryCodesResponse(recovery_codes=codes)


@router.delete("/second-factor", status_code=204, responses=TOO_MANY_GUESSES)
async def remove_second_factor(factor: ProvenFactor, user: SessionUser, request: Request, db: DbSession) -> None:
    """Turn the second factor off; your other devices are signed out."""
    await db.delete(factor)
    await end_sessions(db, user.id, keep=user.session_id)
    audit.record(db, request, "second_factor_off", user_id=user.id, session_id=user.session_id)
    enqueue(db, send_second_factor_changed, to=user.email, change="turned off")


@router.post("/second-factor/recovery-codes", responses=TOO_MANY_GUESSES)
@shows_a_secret
async def renew_recovery_codes(
    factor: ProvenFactor, user: SessionUser, request: Request, db: DbSession
) -> RecoveryCodesResponse:
    """Get new recovery codes; the old ones are dead."""
    codes = await replace_recovery_codes(db, factor.user_id)
    audit.record(db, request, "recovery_codes_renewed", user_id=user.id, session_id=user.session_id)
    enqueue(db, send_second_factor_changed, to=user.email, change="given new recovery codes")
    return RecoveryCodesResponse(recovery_codes=codes)
