"""What is done for accounts after the answer: mails, and deleting what has expired."""

from datetime import timedelta
from typing import Literal

from app.auth.models import AuthSession
from app.core.cleanup import delete_in_batches
from app.core.database import utcnow
from app.core.jobs import Job, periodic, task
from app.core.mail import send_mail


@task
async def send_account_changed(job: Job, to: str, changed: Literal["email address", "password"]) -> None:
    """Tell the address that the account had: whoever did not change it has to know (OWASP ASVS 5.0, 6.3.7)."""
    subject = f"The {changed} of your account was changed"
    await send_mail(job, to=to, subject=subject, template="auth/mails/account_changed", changed=changed)


@periodic(every=timedelta(hours=1))
async def delete_expired_sessions(job: Job) -> None:
    await delete_in_batches(job.database, AuthSession, AuthSession.expires_at < utcnow())
