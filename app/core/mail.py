"""Mail: a text and an HTML part from Jinja2 templates, sent by SMTP. Only tasks send it: a server may be away."""

import logging
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import anyio

from app.core.config import Settings
from app.core.database import utcnow
from app.core.db.migrations import ROOT
from app.core.jobs.task import FailedForGood, Job

if TYPE_CHECKING:
    from email.headerregistry import Address

    from jinja2 import Environment

logger = logging.getLogger("app.mail")

TIMEOUT_S = 20
SUBMISSION_PORT, TLS_PORT = 587, 465  # RFC 6409, RFC 8314
NO_SENDER = "groundwork@localhost"


async def send_mail(job: Job, *, to: str, subject: str, template: str, **values: Any) -> None:
    """Send `app/<template>.txt` and `app/<template>.html`, filled with the values: `template="auth/mails/welcome"`.

    Its Message-ID is the job's: when a job runs twice, whoever receives the mail can tell that it is one.

    Raises:
        FailedForGood: the mail cannot be made, or the server will never take it.
        SMTPException, OSError: the server does not take it now.
    """
    message = await anyio.to_thread.run_sync(lambda: _compose(job, to, subject, template, values))
    if job.settings.smtp_url:
        await _send(message, job.settings)
    elif job.settings.keeps_mails:
        await _keep(message, job)
    else:
        raise FailedForGood("SMTP_URL is not set")


def _compose(job: Job, to: str, subject: str, template: str, values: dict[str, Any]) -> EmailMessage:
    sender = job.settings.mail_from or f"{job.settings.app_name} <{NO_SENDER}>"
    values = {"app_name": job.settings.app_name, "subject": subject, **values}
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = _address(to)
        message["Subject"] = subject
        message["Date"] = format_datetime(utcnow())
        message["Message-ID"] = f"<{job.key.replace('/', '.')}@{parseaddr(sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to be announced to us
    except ValueError:  # a line break would begin a header of somebody else's
        raise FailedForGood("A header of the mail cannot be written") from None
    message.set_content(templates().get_template(f"{template}.txt").render(values))
    message.add_alternative(templates().get_template(f"{template}.html").render(values), subtype="html")
    return message


def _address(email: str) -> "Address":
    """Servers know a domain by its ASCII form (RFC 5891). Raises ValueError for what is no address."""
    from email.headerregistry import Address  # with its parser, a hundredth of a start

    from email_validator import validate_email

    known = validate_email(email, check_deliverability=False)
    return Address(username=known.local_part, domain=known.ascii_domain)


@cache
def templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(ROOT / "app"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _tls_context() -> ssl.SSLContext:
    """Loads the system's CA certificates, about 30 ms of CPU, so it runs once per process and not on the event loop."""
    return ssl.create_default_context()


async def _send(message: EmailMessage, settings: Settings) -> None:
    import aiosmtplib

    server = urlsplit(settings.smtp_url)
    is_tls = server.scheme == "smtps"
    try:
        await aiosmtplib.send(
            message,
            hostname=server.hostname,
            port=server.port or (TLS_PORT if is_tls else SUBMISSION_PORT),
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=is_tls,
            # A password never goes over the wire in clear; without one, TLS is used where the server has it.
            start_tls=None if is_tls or not server.username else True,
            tls_context=await anyio.to_thread.run_sync(_tls_context),
            timeout=TIMEOUT_S,
        )
    except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException) as error:
        if _is_final(error):
            raise FailedForGood(f"The mail server refuses it: {type(error).__name__}") from None
        raise
    except aiosmtplib.SMTPNotSupported:
        if str(message["To"]).isascii():
            raise
        raise FailedForGood("The mail server takes no address that is not ASCII") from None  # RFC 6531


def _is_final(error: Any) -> bool:
    """Whether the server said that it will never take it: 5xx (RFC 5321, 4.2.1), but not about our own credentials."""
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return False
    codes = [refusal.code for refusal in getattr(error, "recipients", [])] or [getattr(error, "code", 0)]
    return all(500 <= code < 600 for code in codes)


async def _keep(message: EmailMessage, job: Job) -> None:
    """For development: whoever tries the application out finds the mail's links in the log and in the folder."""
    folder = anyio.Path(job.settings.mail_folder)
    await folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{utcnow():%Y%m%d-%H%M%S}-{job.key.replace('/', '.')}.eml"
    await file.write_bytes(bytes(message))
    text = message.get_body(("plain",))
    logger.info("mail to %s, kept in %s\n%s", message["To"], file, text.get_content() if text else "")
