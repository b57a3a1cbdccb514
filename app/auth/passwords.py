"""Which passwords are good enough (NIST SP 800-63B, 3.1.1.2): long, not common, not the address."""

import gzip
from functools import cache
from importlib.resources import files

from app.core.errors import Invalid


def check_password(password: str, email: str, min_length: int) -> None:
    """Raises Invalid, which never tells the password."""
    lowered = password.casefold()
    if len(password) < min_length:
        raise Invalid("body", "password", f"Must have at least {min_length} characters")
    if lowered in _common_passwords():
        raise Invalid("body", "password", "Is one of the most common passwords")
    if lowered in (email, email.partition("@")[0]):
        raise Invalid("body", "password", "Must not be the email address")


@cache
def _common_passwords() -> frozenset[str]:
    """The passwords of 8 and more characters among the 20,000 that leak most (the list that Django ships)."""
    packed = files("app.auth").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))
