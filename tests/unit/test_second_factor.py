"""Codes as RFC 6238 has them, recovery codes, and what keeps the secret."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from app.auth.second_factor.codes import (
    hash_recovery_code,
    is_totp,
    matching_step,
    new_recovery_codes,
    new_secret,
    typed,
)
from app.core.security import DecryptionError, decrypt, encrypt
from tests import factories

# RFC 6238, appendix B: SHA-1, eight digits, of which an app that shows six shows the last.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
STEP = timedelta(seconds=30)
SETTINGS = factories.settings()
NEW_KEY = "another-secret-0123456789abcdefghijklmnopqr"


@pytest.mark.parametrize("moment", VECTORS)
def test_the_codes_are_those_of_the_standard(moment: int) -> None:
    at = datetime.fromtimestamp(moment, UTC)
    assert matching_step(SECRET, VECTORS[moment][2:], at) == moment // 30


def test_a_code_is_good_one_step_before_and_after_and_no_longer() -> None:
    code, begin = VECTORS[1234567890][2:], datetime.fromtimestamp(1234567890, UTC)
    end = begin + STEP - timedelta(microseconds=1)
    for at in (begin - STEP, begin, end, end + STEP):
        assert matching_step(SECRET, code, at) == 1234567890 // 30
    for at in (begin - STEP - timedelta(microseconds=1), end + STEP + timedelta(microseconds=1)):
        assert matching_step(SECRET, code, at) is None


@pytest.mark.parametrize("code", ["", "005925", "5924", "89005924", "\uff10\uff10\uff15\uff19\uff12\uff14", "0059x4"])
def test_another_code_is_not(code: str) -> None:
    assert matching_step(SECRET, code, datetime.fromtimestamp(1234567890, UTC)) is None


def test_what_an_app_shows_is_told_from_a_recovery_code() -> None:
    assert is_totp("123 456")
    assert not any(map(is_totp, new_recovery_codes()))
    assert not is_totp("\u0661" * 6)


def test_secrets_and_recovery_codes_are_random_and_long() -> None:
    assert len(base64.b32decode(new_secret())) == 20
    assert new_secret() != new_secret()
    codes = new_recovery_codes()
    assert len({*codes, *new_recovery_codes()}) == 20
    assert all(len(base64.b32decode(typed(code))) == 15 for code in codes)
    assert hash_recovery_code(codes[0]) == hash_recovery_code(f" {codes[0].lower().replace('-', ' ')} ")


def test_what_is_encrypted_is_read_for_its_purpose_only() -> None:
    encrypted = encrypt(SECRET, "second factor of user 1", SETTINGS)
    assert SECRET not in encrypted
    assert encrypted != encrypt(SECRET, "second factor of user 1", SETTINGS)
    assert decrypt(encrypted, "second factor of user 1", SETTINGS) == SECRET
    other_key = factories.settings(secret_key=NEW_KEY)
    for purpose, settings in (("second factor of user 2", SETTINGS), ("second factor of user 1", other_key)):
        with pytest.raises(DecryptionError, match="SECRET_KEY"):
            decrypt(encrypted, purpose, settings)


def test_the_key_can_be_another_from_now_on() -> None:
    encrypted = encrypt(SECRET, "anything", SETTINGS)
    newer = factories.settings(secret_key=NEW_KEY, secret_key_previous=[factories.SECRET])
    assert decrypt(encrypted, "anything", newer) == SECRET
    assert decrypt(encrypt(SECRET, "anything", newer), "anything", factories.settings(secret_key=NEW_KEY)) == SECRET


@pytest.mark.parametrize("broken", ["", "x", SECRET, "gAAAAA==", "\u00e9"])
def test_what_is_broken_is_not_read(broken: str) -> None:
    with pytest.raises(DecryptionError):
        decrypt(broken, "anything", SETTINGS)


def test_what_was_changed_is_not_read() -> None:
    encrypted = encrypt(SECRET, "anything", SETTINGS)
    for position in (0, 20, 60, len(encrypted) - 5):
        letter = "A" if encrypted[position] != "A" else "B"
        with pytest.raises(DecryptionError):
            decrypt(encrypted[:position] + letter + encrypted[position + 1 :], "anything", SETTINGS)
