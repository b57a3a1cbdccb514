"""Which passwords are good enough (NIST SP 800-63B, 3.1.1.2): long, not common, not the address or the application."""

import gzip
import re
import unicodedata
from functools import cache
from importlib.resources import files

from app.core.config import Settings
from app.core.errors import Invalid

_EDGES = re.compile(r"^[^a-z]+|[^a-z]+$")  # what is put before and behind a word: 123, !!!


def check_password(password: str, email: str, settings: Settings) -> None:
    """Raises Invalid, which never tells the password."""
    min_length = settings.password_min_length
    password = unicodedata.normalize("NFKC", password)  # what is hashed
    lowered = password.casefold()
    if len(password) < min_length:
        raise Invalid("body", "password", f"Must have at least {min_length} characters")
    if lowered in _common_passwords():
        raise Invalid("body", "password", "Is one of the most common passwords")
    if lowered in (email, email.partition("@")[0]):
        raise Invalid("body", "password", "Must not be the email address")
    if _EDGES.sub("", lowered) in (settings.app_name.casefold(), "".join(settings.app_name.casefold().split())):
        raise Invalid("body", "password", "Must not be the application's name")


@cache
def _common_passwords() -> frozenset[str]:
    """The passwords of 8 and more characters among the 20,000 that leak most (the list that Django ships)."""
    packed = files("app.auth").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))
