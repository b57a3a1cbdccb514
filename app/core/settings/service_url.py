"""The addresses of other services, and whom mails are from: checked at the start, not at first use."""

import asyncio
import re
from urllib.parse import urlsplit

_BASE = re.compile(r"(https?://[\w.:\[\]-]+(/[\w.~%/-]*)?)?", re.ASCII | re.IGNORECASE)
PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


def require_address(value: str, schemes: tuple[str, ...]) -> None:
    """Raises ValueError for what is neither empty nor an address with one of the schemes and a host."""
    if not value:
        return
    parts = urlsplit(value)
    try:
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in schemes:
        raise ValueError(f"not an address that begins with {', '.join(f'{scheme}://' for scheme in schemes)}")


def require_base(value: str) -> None:
    """Raises ValueError for an address that a path cannot be put behind, or that is not safe in a page or a header."""
    if not _BASE.fullmatch(value):
        raise ValueError("not a host with a path alone: no query, no user, no characters that a URL does not have")


async def answers(url: str) -> bool:
    """Whether Redis answers, or a broker (or what speaks TLS) takes a connection. Raises OSError when nobody is there.

    It costs a connection, and says nothing: RabbitMQ logs no line for that. It has no time limit of its own.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or PORTS[parts.scheme])
    try:
        if parts.scheme != "redis":
            return True
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith((b"+PONG", b"-NOAUTH"))  # not -LOADING
    finally:
        writer.close()


def is_sender(value: str) -> bool:
    """Whether it is one address, with a name or without, as a From header has it (RFC 5322, 3.6.2)."""
    from email.policy import default  # with its parser, a hundredth of a start

    try:
        addresses = default.header_factory("From", value).addresses
    except (ValueError, IndexError, AttributeError):
        return False
    return value.isprintable() and len(addresses) == 1 and bool(addresses[0].username) and bool(addresses[0].domain)
