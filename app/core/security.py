"""Passwords, tokens and encryption under SECRET_KEY: pure functions, no I/O."""

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import bcrypt

from app.core.config import Settings
from app.core.errors import Unauthorized

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

# passlib's bcrypt_sha256, version 2: HMAC-SHA256 with the salt as its key, then bcrypt. So no byte is lost at bcrypt's
# 72, and a bare SHA-256 stolen elsewhere is no use as a password here ("password shucking").
_HASH = re.compile(r"\$bcrypt-sha256\$v=2,t=2b,r=(?P<rounds>\d{1,2})\$(?P<salt>[./A-Za-z0-9]{22})\$[./A-Za-z0-9]{31}")
_BCRYPT = re.compile(r"\$2[aby]\$(?P<rounds>\d\d)\$[./A-Za-z0-9]{53}")
_BCRYPT_MAX_BYTES = 72

ACCESS = "access"
ADMIN = "admin"  # the admin's cookie: no bearer token, and no bearer token is one
Kind = Literal["access", "admin"]


def hash_password(password: str, rounds: int) -> str:
    """A hash to store: about 0.25 s of one core at 12 rounds."""
    salt = bcrypt.gensalt(rounds, prefix=b"2b").decode()[7:]
    return _hash(password, rounds, salt)


def verify_password(password: str, hashed: str) -> bool:
    """Whether the password is the hash's; `$2b$` hashes that other systems made are understood too."""
    if match := _HASH.fullmatch(hashed):
        return hmac.compare_digest(_hash(password, int(match["rounds"]), match["salt"]), hashed)
    if not _BCRYPT.fullmatch(hashed) or "\0" in password:
        return False
    # Those systems hashed the first 72 bytes of what was typed; bcrypt 5 refuses more.
    return bcrypt.checkpw(password.encode()[:_BCRYPT_MAX_BYTES], hashed.encode())


def rounds_of(hashed: str) -> int | None:
    """None: it is no hash."""
    match = _HASH.fullmatch(hashed) or _BCRYPT.fullmatch(hashed)
    return int(match["rounds"]) if match else None


def needs_rehash(hashed: str, rounds: int) -> bool:
    match = _HASH.fullmatch(hashed)
    return match is None or int(match["rounds"]) != rounds


def _hash(password: str, rounds: int, salt: str) -> str:
    normal = unicodedata.normalize("NFKC", password)  # NIST SP 800-63B, 3.1.1.2
    digest = hmac.new(salt.encode(), normal.encode(), hashlib.sha256).digest()
    checksum = bcrypt.hashpw(base64.b64encode(digest), f"$2b${rounds:02}${salt}".encode()).decode()
    # bcrypt keeps only some bits of the salt's last character; the checksum is what follows the 29 of its prefix.
    return f"$bcrypt-sha256$v=2,t=2b,r={rounds}${salt}${checksum[29:]}"


def new_token() -> str:
    """An opaque token of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is stored of an opaque token. It is random, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AccessToken:
    subject: str
    session_id: UUID
    expires_at: datetime


def create_access_token(subject: str, session_id: UUID, now: datetime, settings: Settings, kind: Kind = ACCESS) -> str:
    """A signed JWT that names an account (`sub`, its email) and a session (`sid`)."""
    from joserfc import jwt  # imports cryptography: 0.2 s of a start that may never need it

    expires = now + timedelta(minutes=settings.access_token_expire_minutes)
    claims = {
        "iss": settings.app_name,
        "aud": settings.app_name,
        "sub": subject,
        "sid": session_id.hex,
        "jti": secrets.token_hex(16),
        "iat": int(now.timestamp()),
        "exp": int(expires.timestamp()),
        "typ": kind,
    }
    return jwt.encode({"alg": settings.algorithm, "typ": "JWT"}, claims, _key(settings.secret))


def read_access_token(token: str, settings: Settings, kind: Kind = ACCESS) -> AccessToken:
    """What a token says, its signature, expiry, issuer, audience and type checked.

    Raises:
        Unauthorized: whatever is wrong with it (RFC 8725: one algorithm, explicit type, all claims checked).
    """
    from joserfc.errors import JoseError

    try:
        claims = _verified(token, settings)
        _claims_registry(settings.app_name, kind).validate(claims)
        return AccessToken(claims["sub"], UUID(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC))
    except (JoseError, ValueError, OverflowError, TypeError, AttributeError, RecursionError):
        raise Unauthorized("Invalid or expired token") from None


def _verified(token: str, settings: Settings) -> dict[str, Any]:
    """The claims, signed with SECRET_KEY or with one that it was before. Raises BadSignatureError otherwise."""
    from joserfc import jwt
    from joserfc.errors import BadSignatureError

    for secret in settings.secrets:
        with suppress(BadSignatureError):
            return jwt.decode(token, _key(secret), algorithms=[settings.algorithm]).claims
    raise BadSignatureError


@lru_cache(maxsize=16)
def _key(secret: str) -> Any:
    from joserfc.jwk import OctKey

    return OctKey.import_key(secret)


@lru_cache(maxsize=4)
def _claims_registry(app_name: str, kind: Kind) -> Any:
    from joserfc.jwt import JWTClaimsRegistry

    class Registry(JWTClaimsRegistry):
        def validate_iat(self, value: object) -> None:
            """Nothing hangs on `iat`, and the clock of the machine that issued it may be ahead of this one's."""

    return Registry(
        iss={"essential": True, "value": app_name},
        aud={"essential": True, "value": app_name},
        sub={"essential": True},
        sid={"essential": True},
        jti={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
        typ={"essential": True, "value": kind},
    )


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
