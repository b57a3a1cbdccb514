"""Mail arrives as it was meant, through a real SMTP server; what no server should be handed is refused."""

import logging
import ssl
import subprocess
import threading
from collections.abc import Generator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPRecipientsRefused
from fastapi import FastAPI
from sqlalchemy import select

from app.core import mail
from app.core.config import Settings
from app.core.database import Database, Row
from app.core.jobs import FailedForGood, Job
from app.core.jobs.outbox import OutboxJob
from app.core.mail import send_mail
from app.main import create_app
from tests import factories
from tests.factories import PASSWORD, Actor
from tests.mail_server import MailServer, mail_server
from tests.waiting import until

CHANGED = "auth/mails/account_changed"


async def mail_to(server: MailServer, address: str, subject: str) -> EmailMessage:
    """The only mail with that subject."""

    async def look() -> list[EmailMessage]:
        return [mail for mail in server.mails[address] if mail["Subject"] == subject]

    (mail,) = await until(look)
    return mail


def text(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body
    return body.get_content()


async def change(actor: Actor, **values: Any) -> None:
    answer = await actor.http.patch("/api/v1/auth/me", json={"current_password": PASSWORD} | values)
    assert answer.status_code == 200, answer.text


async def test_whoever_had_the_account_hears_of_a_change(app: FastAPI, user: Actor, post_office: MailServer) -> None:
    await change(user, email=f"new-{user.email}")
    await change(user, password="another password")
    mail = await mail_to(post_office, user.email, "The email address of your account was changed")
    assert f"new-{user.email}" not in mail.as_string()
    mail = await mail_to(post_office, f"new-{user.email}", "The password of your account was changed")
    assert (mail["From"], mail["To"]) == ("Groundwork <no-reply@example.com>", f"new-{user.email}")
    for kind in ("plain", "html"):
        assert "The password of your account at Groundwork was changed." in text(mail, kind)
    assert "another password" not in mail.as_string()


async def test_nothing_that_did_not_change_is_told(user: Actor, app: FastAPI, post_office: MailServer) -> None:
    await change(user, email=user.email)
    wrong = await user.http.patch("/api/v1/auth/me", json={"current_password": "wrong", "password": "another password"})
    assert wrong.status_code == 403
    jobs = await app.state.database.read.all(select(OutboxJob).where(OutboxJob.task == "auth.send_account_changed"))
    assert jobs == []


@pytest.mark.slow
async def test_a_busy_server_is_asked_again_and_a_refusal_is_final(app: FastAPI, post_office: MailServer) -> None:
    busy = await factories.register(app, email=f"busy-{factories.email()}")
    refused = await factories.register(app, email=f"refused-{factories.email()}")

    async def dead() -> Row | None:
        return await app.state.database.read.one(select(OutboxJob).where(OutboxJob.state == "dead"))

    row = await until(dead)
    assert row.arguments == {"user_id": refused["id"]}
    assert (row.attempts, row.error) == (1, "FailedForGood: The mail server refuses it: SMTPRecipientsRefused")
    await mail_to(post_office, busy["email"], "Verify your email address")
    assert [post_office.turned_away.count(account["email"]) for account in (busy, refused)] == [1, 1]


def job_with(settings: Settings, key: str = "the-key") -> Job:
    database = Database(settings)
    return Job(key, 1, database.sessions(), database, settings)


def sends_to(url: str, **values: Any) -> Job:
    return job_with(factories.settings(smtp_url=url, mail_from="a@example.com", **values))


async def send(job: Job, to: str = "you@example.com", subject: str = "Hello", **values: Any) -> None:
    await send_mail(job, to=to, subject=subject, template=CHANGED, **{"changed": "password"} | values)


async def test_a_mail_is_one_however_often_its_job_runs(post_office: MailServer) -> None:
    for key in ("one", "one", "core.daily/86400s/7"):
        await send(job_with(sends_to(post_office.url).settings, key), to="again@example.com")
    ids = [mail["Message-ID"] for mail in post_office.mails["again@example.com"]]
    assert ids == ["<one@example.com>", "<one@example.com>", "<core.daily.86400s.7@example.com>"]


async def test_html_is_escaped_and_text_is_not(post_office: MailServer) -> None:
    await send(sends_to(post_office.url, app_name="<b>R&D</b>"), to="escaped@example.com", changed="<script>x</script>")
    (mail,) = post_office.mails["escaped@example.com"]
    assert "&lt;script&gt;x&lt;/script&gt; of your account at &lt;b&gt;R&amp;D&lt;/b&gt;" in text(mail, "html")
    assert "<script>x</script> of your account at <b>R&D</b>" in text(mail, "plain")


async def test_letters_of_every_kind_arrive(post_office: MailServer) -> None:
    await send(sends_to(post_office.url, app_name="Grünzeug 🐎"), to="you@bücher.example", subject="Schöne Grüße 🐎")
    (mail,) = post_office.mails["you@xn--bcher-kva.example"]
    assert mail["Subject"] == "Schöne Grüße 🐎"
    assert "at Grünzeug 🐎 was changed" in text(mail, "plain")


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "Hello\nBcc: everybody@example.com"},
        {"subject": "Hello\r\n\r\nAnother body"},
        {"to": "you@example.com\nBcc: everybody@example.com"},
        {"to": "you@example.com, everybody@example.com"},
        {"to": "you"},
    ],
)
async def test_nobody_adds_a_header(post_office: MailServer, values: dict[str, str]) -> None:
    before = {address: len(mails) for address, mails in post_office.mails.items()}
    with pytest.raises(FailedForGood, match="A header of the mail cannot be written"):
        await send(sends_to(post_office.url), **values)
    assert {address: len(mails) for address, mails in post_office.mails.items()} == before


async def test_a_value_that_a_template_needs_and_has_not_is_an_error(post_office: MailServer) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        await send_mail(sends_to(post_office.url), to="you@example.com", subject="Hello", template=CHANGED)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a server at 127.0.0.1, signed by itself; its key beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run([*words, *files], cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


@pytest.fixture
def guarded(certificate: Path) -> Generator[MailServer]:
    """A server that wants STARTTLS and a password."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with mail_server(context, ("me@example.com", "p@ss/word")) as server:
        yield server


async def test_a_password_goes_over_tls_to_whom_it_is_meant(
    guarded: MailServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = guarded.url.replace("://", "://me%40example.com:p%40ss%2Fword@")
    with pytest.raises(ssl.SSLCertVerificationError):  # nobody vouches for it
        await send(sends_to(url))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mail._tls_context.cache_clear()  # which a process reads once
    await send(sends_to(url), to="tls@example.com")
    assert len(guarded.mails["tls@example.com"]) == 1
    with pytest.raises(SMTPAuthenticationError):
        await send(sends_to(url.replace("word", "wrong")))
    mail._tls_context.cache_clear()


async def test_ca_certificates_are_loaded_once_and_not_on_the_event_loop(
    post_office: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    load = ssl.SSLContext.load_default_certs

    def noted(context: ssl.SSLContext, *purpose: Any) -> None:
        threads.append(threading.current_thread())
        load(context, *purpose)

    mail._tls_context.cache_clear()
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", noted)
    for address in ("one@example.com", "two@example.com"):
        await send(sends_to(post_office.url), to=address)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_password_never_goes_in_clear(post_office: MailServer) -> None:
    with pytest.raises(SMTPException, match="STARTTLS"):
        await send(sends_to(post_office.url.replace("://", "://me:secret@")))


async def test_a_server_that_is_away_is_tried_again(post_office: MailServer) -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        await send(sends_to("smtp://127.0.0.1:1"))
    with pytest.raises(SMTPRecipientsRefused):
        await send(sends_to(post_office.url), to="busy-in-person@example.com")


async def test_without_a_server_mails_are_kept_where_they_are_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="app.mail")
    folder = tmp_path / "new" / "mails"
    settings = factories.settings(mail_folder=folder)
    await send(job_with(settings), subject="Schöne Grüße")
    (file,) = folder.iterdir()
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("you@example.com", "Schöne Grüße")
    assert f"mail to you@example.com, kept in {file}\nThe password of your account" in caplog.text
    assert str(folder) in create_app(settings).openapi()["info"]["description"]


async def test_a_production_without_a_server_does_not_pretend(tmp_path: Path) -> None:
    settings = factories.settings(environment="production", bcrypt_rounds=12, mail_folder=tmp_path / "mails")
    with pytest.raises(FailedForGood, match="SMTP_URL is not set"):
        await send(job_with(settings))
    assert not (tmp_path / "mails").exists()
    assert "description" not in create_app(settings).openapi()["info"]
