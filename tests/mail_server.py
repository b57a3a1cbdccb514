"""A real SMTP server in a thread: it takes, refuses and remembers mails."""

import ssl
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from deploy.cluster.ports import free_port

BUSY, NEVER = "451 4.7.1 Try again later", "550 5.1.1 No such mailbox"


@dataclass
class MailServer:
    """An address that begins with `refused` is refused for good, one with `busy` the first time."""

    url: str = ""
    mails: dict[str, list[EmailMessage]] = field(default_factory=lambda: defaultdict(list))
    turned_away: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own names
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        is_busy = address.startswith("busy") and address not in self.turned_away
        if is_busy or address.startswith("refused"):
            self.turned_away.append(address)
            return BUSY if is_busy else NEVER
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        for address in envelope.rcpt_tos:
            self.mails[address].append(message)
        return "250 OK"


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, credentials: tuple[str, str] | None = None) -> Generator[MailServer]:
    """With TLS it wants STARTTLS, with credentials it wants those."""
    server = MailServer()

    def authenticate(_server: Any, _session: Any, _envelope: Any, mechanism: str, sent: Any) -> AuthResult:
        is_right = (sent.login.decode(), sent.password.decode()) == credentials
        return AuthResult(success=is_right, handled=is_right)

    port = free_port()
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=port,
        enable_SMTPUTF8=False,
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=authenticate if credentials else None,
        auth_required=credentials is not None,
        auth_require_tls=credentials is not None,
    )
    controller.start()
    server.url = f"smtp://127.0.0.1:{port}"
    try:
        yield server
    finally:
        controller.stop()
