"""What is done for accounts after the answer: mails, and deleting what has expired."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import select

from app.auth.account_tokens import issue
from app.auth.models import AccountToken, AuthSession, RefreshToken, SignInChallenge, User
from app.core.database import utcnow
from app.core.jobs import Job, periodic, task
from app.core.jobs.cleanup import delete_in_batches
from app.core.mail import send_mail

KEEP_USED_TOKENS = timedelta(days=7)  # for so long a replayed one ends its session; an older one is only refused


@task
async def send_account_changed(job: Job, to: str, changed: Literal["email address", "password"]) -> None:
    """Tell the address that the account had: whoever did not change it has to know (OWASP ASVS 5.0, 6.3.7)."""
    subject = f"The {changed} of your account was changed"
    await send_mail(job, to=to, subject=subject, template="auth/mails/account_changed", changed=changed)


SecondFactorChange = Literal["turned on", "turned off", "given new recovery codes"]


@task
async def send_second_factor_changed(job: Job, to: str, change: SecondFactorChange) -> None:
    subject = f"The second factor of your account was {change}"
    await send_mail(job, to=to, subject=subject, template="auth/mails/second_factor_changed", change=change)


@task
async def send_codes_guessed(job: Job, to: str) -> None:
    """Whoever comes as far as guessing codes knows the password (OWASP ASVS 5.0, 6.3.5)."""
    subject = "Somebody entered wrong codes for your account"
    await send_mail(job, to=to, subject=subject, template="auth/mails/codes_guessed")


@task
async def send_password_reset(job: Job, email: str) -> None:
    """To an account; nothing happens for an address without one. The token is made here: no row of a job holds it."""
    user = await job.read.one(select(User.id).where(User.email == email, User.is_active))
    if user is not None:
        token = await issue(job.database, user.id, email, "reset")
        link = _link(job, "reset-password", token)
        await send_mail(
            job, to=email, subject="Reset your password", template="auth/mails/password_reset", token=token, link=link
        )


@task
async def send_verification(job: Job, user_id: int) -> None:
    """To the address that the account has now, unless it is verified."""
    user = await job.read.one(select(User.email).where(User.id == user_id, User.email_verified_at.is_(None)))
    if user is not None:
        token = await issue(job.database, user_id, user.email, "verify")
        link = _link(job, "verify-email", token)
        await send_mail(
            job,
            to=user.email,
            subject="Verify your email address",
            template="auth/mails/verify_email",
            token=token,
            link=link,
        )


def _link(job: Job, page: str, token: str) -> str | None:
    """Where the mail leads; without a website it holds the token itself."""
    return f"{job.settings.frontend_url}/{page}?token={token}" if job.settings.frontend_url else None


@periodic(every=timedelta(hours=1))
async def delete_expired_sessions(job: Job) -> None:
    await delete_in_batches(job.database, AuthSession, AuthSession.expires_at < utcnow())


@periodic(every=timedelta(hours=1))
async def delete_used_refresh_tokens(job: Job) -> None:
    """Of living sessions; those of ended ones went with them."""
    await delete_in_batches(job.database, RefreshToken, RefreshToken.used_at < utcnow() - KEEP_USED_TOKENS)


@periodic(every=timedelta(hours=1))
async def delete_expired_account_tokens(job: Job) -> None:
    await delete_in_batches(job.database, AccountToken, AccountToken.expires_at < utcnow())


@periodic(every=timedelta(hours=1))
async def delete_expired_challenges(job: Job) -> None:
    await delete_in_batches(job.database, SignInChallenge, SignInChallenge.expires_at < utcnow())
