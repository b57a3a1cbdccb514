"""What is done for API keys after the answer: the mail about a new one, and deleting those that have expired."""

from datetime import timedelta

from sqlalchemy import select

from app.api_keys.models import ApiKey
from app.auth.models import User
from app.core.jobs import Job, periodic, task
from app.core.jobs.cleanup import ago, delete_in_batches
from app.core.mail import send_mail

KEEP_EXPIRED = timedelta(days=30)  # whoever wonders why a script was refused still finds the key


@task
async def send_key_made(job: Job, key_id: int) -> None:
    """Tell the user: a key that a stolen session made would outlive that session (OWASP ASVS 5.0, 6.3.7).

    Not the key's name: who registers another's address could have us send that person any text.
    """
    wanted = select(ApiKey.prefix, ApiKey.scope, User.email).join(User, User.id == ApiKey.user_id)
    key = await job.read.one(wanted.where(ApiKey.id == key_id))
    if key is not None:
        template, subject = "api_keys/mails/key_made", "An API key of your account was made"
        await send_mail(job, to=key.email, subject=subject, template=template, prefix=key.prefix, scope=key.scope)


@periodic(every=timedelta(hours=1))
async def delete_expired_keys(job: Job) -> None:
    await delete_in_batches(job.database, ApiKey, ApiKey.expires_at < ago(KEEP_EXPIRED))
