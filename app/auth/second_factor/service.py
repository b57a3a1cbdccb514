"""Checking a code: counted before, used up after."""

from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.auth.second_factor.codes import hash_recovery_code, is_totp, matching_step, new_recovery_codes
from app.auth.second_factor.models import RecoveryCode, SecondFactor
from app.auth.tasks import send_codes_guessed
from app.core.config import Settings
from app.core.database import rows_changed, utcnow
from app.core.errors import Forbidden, TooManyRequests
from app.core.jobs import enqueue
from app.core.security import decrypt, encrypt

WRONG_CODE = "the code is wrong"

# The next guesses wait for 30 s, 60 s and so on; so that at the worst 24 of a million codes are tried in a day.
FREE_GUESSES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)


async def count_guess(db: AsyncSession, user_id: int, code: str) -> None:
    """Called before a code is checked, in a transaction of its own, which no error takes back: of any number of
    guesses at once no more are checked than of as many one by one. What an app shows can be guessed; a recovery code
    cannot, and is never kept waiting: whoever keeps guessing keeps the owner out only of the app's codes.

    Raises:
        TooManyRequests: the last guesses were wrong.
    """
    if not is_totp(code):
        return
    factor = await db.scalar(select(SecondFactor).where(SecondFactor.user_id == user_id).with_for_update())
    if factor is None:
        return
    now = utcnow()
    if factor.blocked_until is not None and factor.blocked_until > now:
        raise TooManyRequests(ceil((factor.blocked_until - now).total_seconds()), "Too many wrong codes, try later")
    factor.failures += 1
    factor.blocked_until = _blocked_until(factor.failures, now)
    if factor.failures == FREE_GUESSES + 1:  # all before it were wrong
        email = (await db.scalars(select(User.email).where(User.id == user_id))).one()
        enqueue(db, send_codes_guessed, to=email)


def _blocked_until(failures: int, now: datetime) -> datetime | None:
    doublings = failures - FREE_GUESSES
    return None if doublings < 0 else now + min(FIRST_WAIT * 2 ** min(doublings, 10), LONGEST_WAIT)


def require_mailbox(account: User) -> None:
    """Raises Forbidden where the address is not verified: whoever registers another's would keep its owner out, who
    could set a new password by mail and not sign in with it."""
    if account.email_verified_at is None:
        raise Forbidden("Not authorized: verify your email address first")


async def active_factor(db: AsyncSession, user_id: int) -> SecondFactor | None:
    return await db.scalar(
        select(SecondFactor).where(SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None))
    )


async def use_code(db: AsyncSession, settings: Settings, factor: SecondFactor, code: str) -> bool:
    """Whether it is a good code of the factor's; it is none any more. The account is locked meanwhile."""
    if is_totp(code):
        return await use_totp(db, settings, factor, code)
    wanted = delete(RecoveryCode).where(
        RecoveryCode.user_id == factor.user_id, RecoveryCode.code_hash == hash_recovery_code(code)
    )
    if not await rows_changed(db, wanted):
        return False
    factor.failures, factor.blocked_until = 0, None
    return True


async def use_totp(db: AsyncSession, settings: Settings, factor: SecondFactor, code: str) -> bool:
    """Whether it is the code of a time step after the last that was accepted, which it is from now on.

    The secret is written anew, under the newest key: the older ones can be forgotten in the end.
    """
    purpose = secret_purpose(factor.user_id)
    secret = decrypt(factor.secret, purpose, settings)
    step = matching_step(secret, code, utcnow())
    if step is None:
        return False
    statement = update(SecondFactor).where(SecondFactor.user_id == factor.user_id, SecondFactor.last_step < step)
    values = {"last_step": step, "failures": 0, "blocked_until": None, "secret": encrypt(secret, purpose, settings)}
    return await rows_changed(db, statement.values(values)) == 1


def secret_purpose(user_id: int) -> str:
    return f"second factor of user {user_id}"


async def replace_recovery_codes(db: AsyncSession, user_id: int) -> list[str]:
    """New ones, as they are shown once; the old are dead."""
    codes = new_recovery_codes()
    await db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    db.add_all(RecoveryCode(user_id=user_id, code_hash=hash_recovery_code(code)) for code in codes)
    await db.flush()
    return codes
