"""What is stored encrypted, because it has to be read again: under keys made of SECRET_KEY, one for each purpose."""

import base64
from typing import TYPE_CHECKING

from app.core.config import Settings

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class DecryptionError(Exception):
    """It was encrypted under another SECRET_KEY or for another purpose, or somebody changed it."""


def encrypt(text: str, purpose: str, settings: Settings) -> str:
    """The text, encrypted and authenticated. A purpose that names its row keeps it from being put into another row."""
    return _keys(purpose, settings).encrypt(text.encode()).decode()


def decrypt(encrypted: str, purpose: str, settings: Settings) -> str:
    """The text. Raises DecryptionError."""
    from cryptography.fernet import InvalidToken

    try:
        return _keys(purpose, settings).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        raise DecryptionError(f"the {purpose} cannot be decrypted: is SECRET_KEY another?") from None


def _keys(purpose: str, settings: Settings) -> "MultiFernet":
    """The first encrypts, each decrypts."""
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(_derived(key, purpose)) for key in settings.secrets])


def _derived(key: str, purpose: str) -> bytes:
    """A key of its own, so that no use of SECRET_KEY tells anything of another (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # 15 ms of a start that may never need it
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    hkdf = HKDF(SHA256(), length=32, salt=None, info=f"encryption: {purpose}".encode())
    return base64.urlsafe_b64encode(hkdf.derive(key.encode()))
