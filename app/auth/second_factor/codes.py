"""Codes of authenticator apps (RFC 6238) and recovery codes: pure functions, no I/O."""

import base64
import hmac
import re
import secrets
from datetime import datetime

from app.core.security import hash_token

WINDOW = 1  # time steps of 30 s before and after the present one: clocks differ, and typing takes a while
RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 15  # 120 random bits, for which a fast hash is enough (OWASP ASVS 5.0, 6.5.2)

_TOTP = re.compile("[0-9]{6}")


def new_secret() -> str:
    """160 random bits in Base32, as authenticator apps take them (RFC 4226, 4)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """https://github.com/google/google-authenticator/wiki/Key-Uri-Format"""
    from pyotp import TOTP  # 20 ms of a start that may never need it

    return TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def qr_code(text: str) -> str:
    """An SVG as a data URI. It takes some 10 ms of a processor."""
    import segno

    return segno.make_qr(text, error="l").svg_data_uri(scale=4, light="#fff")


def typed(code: str) -> str:
    """A code as it is compared, however it was typed: apps and papers group it."""
    return re.sub(r"[\s-]", "", code).upper()


def is_totp(code: str) -> bool:
    return _TOTP.fullmatch(typed(code)) is not None


def matching_step(secret: str, code: str, at: datetime) -> int | None:
    """The time step, within the window, whose code it is."""
    from pyotp import TOTP

    totp = TOTP(secret)
    now = totp.timecode(at)
    steps = range(now - WINDOW, now + WINDOW + 1)
    known = typed(code).encode()
    matching = [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), known)]
    return max(matching, default=None)


def new_recovery_codes() -> list[str]:
    return [_grouped(secrets.token_bytes(RECOVERY_CODE_BYTES)) for _ in range(RECOVERY_CODES)]


def hash_recovery_code(code: str) -> str:
    return hash_token(typed(code))


def _grouped(code: bytes) -> str:
    """`ABCDEF-GHIJKL-MNOPQR-STUVWX`"""
    return "-".join(re.findall(".{6}", base64.b32encode(code).decode()))
