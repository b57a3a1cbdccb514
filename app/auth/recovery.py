"""What an account does through its mailbox: set a new password, and verify the address."""

from fastapi import Request
from sqlalchemy import select

from app.api_keys.models import revoke_keys
from app.auth.account_tokens import end_account_tokens, find, use
from app.auth.dependencies import LIMITED_BY_ADDRESS, SessionUser
from app.auth.hashing import Hasher
from app.auth.models import User, end_sessions
from app.auth.passwords import check_password
from app.auth.schemas import ForgottenPassword, PasswordReset, Verification
from app.auth.tasks import send_account_changed, send_password_reset, send_verification
from app.auth.throttle import may_be_mailed
from app.core import audit
from app.core.config import AppSettings
from app.core.database import DbSession, PrimaryReadSession, utcnow
from app.core.errors import Invalid
from app.core.jobs import enqueue
from app.core.policy import public
from app.core.routing import Router

router = Router(prefix="/auth", tags=["auth"])


@router.post("/forgot-password", status_code=202, dependencies=[LIMITED_BY_ADDRESS])
@public
async def forgot_password(body: ForgottenPassword, request: Request, db: DbSession) -> None:
    """Send a mail with which a new password can be set, if the address has an account; the answer does not tell.

    Nor does it tell when the address has had five mails within the hour, and there is no other.
    """
    if await may_be_mailed(request, body.email):
        enqueue(db, send_password_reset, email=body.email)  # the account is looked up by the task: it takes as long


@router.post("/reset-password", status_code=204, dependencies=[LIMITED_BY_ADDRESS])
@public
async def reset_password(
    body: PasswordReset,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
    settings: AppSettings,
) -> None:
    """Set a new password with the token of a mail, which signs all devices out and revokes the API keys."""
    token, password = body.token.get_secret_value(), body.password.get_secret_value()
    known = await find(read, token, "reset")
    check_password(password, known.email, settings)
    new_hash = await hasher.hash(password)
    account = await _lock(db, known.user_id, known.email)
    await use(db, token)
    await end_account_tokens(db, account.id, "reset")
    account.hashed_password = new_hash
    account.email_verified_at = account.email_verified_at or utcnow()  # whoever has the token has the mailbox
    await end_sessions(db, account.id)
    await revoke_keys(db, account.id)  # whoever had the password may have made some
    audit.record(db, request, "password_reset", user_id=account.id)
    enqueue(db, send_account_changed, to=account.email, changed="password")


@router.post("/verify-email", status_code=204, dependencies=[LIMITED_BY_ADDRESS])
@public
async def verify_email(body: Verification, request: Request, db: DbSession, read: PrimaryReadSession) -> None:
    """Verify an address with the token of a mail."""
    token = body.token.get_secret_value()
    known = await find(read, token, "verify")
    account = await _lock(db, known.user_id, known.email)
    await use(db, token)
    account.email_verified_at = utcnow()
    audit.record(db, request, "email_verified", user_id=account.id)


@router.post("/verify-email/resend", status_code=202)
async def resend_verification(user: SessionUser, request: Request, db: DbSession) -> None:
    """Send the mail with which your address is verified once more, up to five times an hour."""
    if user.email_verified_at is None and await may_be_mailed(request, user.email):
        enqueue(db, send_verification, user_id=user.id)


async def _lock(db: DbSession, user_id: int, email: str) -> User:
    """The account, while it is what the token was found good for."""
    wanted = select(User).where(User.id == user_id, User.email == email, User.is_active)
    account = await db.scalar(wanted.with_for_update())
    if account is None:
        raise Invalid("body", "token", "Is no token any more")
    return account
