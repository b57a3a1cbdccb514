"""Passwords (promise 8) and tokens (promise 14)."""

import base64
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import bcrypt
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from app.core.config import Settings
from app.core.database import utcnow
from app.core.errors import Unauthorized
from app.core.security import (
    create_access_token,
    decrypt,
    encrypt,
    hash_password,
    hash_token,
    needs_rehash,
    new_token,
    read_access_token,
    verify_password,
)
from tests import factories

SETTINGS = factories.settings()
# What is made when the tests are collected is still good when they run, however long the others took.
ALL_DAY = factories.settings(access_token_expire_minutes=1440)


def test_a_hash_verifies_its_password_and_no_other() -> None:
    hashed = hash_password("correct horse", 4)
    assert verify_password("correct horse", hashed)
    assert not verify_password("correct horsf", hashed)
    assert hashed != hash_password("correct horse", 4)


def test_a_hash_has_the_form_that_passlib_documents() -> None:
    known = "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
    assert verify_password("password", known)
    assert not verify_password("Password", known)


@pytest.mark.parametrize("letter", ["a", "ä", "🐎"])
def test_every_one_of_many_code_points_counts(letter: str) -> None:
    hashed = hash_password(letter * 200 + "x", 4)
    assert verify_password(letter * 200 + "x", hashed)
    assert not verify_password(letter * 200 + "y", hashed)
    assert not verify_password(letter * 199 + "x", hashed)


def test_one_password_in_two_unicode_forms_is_one_password() -> None:
    assert verify_password("cafe\u0301 au lait", hash_password("caf\u00e9 au lait", 4))


@pytest.mark.parametrize("prefix", [b"2b", b"2a"])
def test_plain_bcrypt_hashes_of_other_systems_verify_and_want_an_upgrade(prefix: bytes) -> None:
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4, prefix)).decode()
    assert verify_password("correct horse", hashed)
    assert not verify_password("wrong", hashed)
    assert needs_rehash(hashed, 4)


def test_a_plain_bcrypt_hash_of_a_long_password_verifies() -> None:
    hashed = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()  # what they kept of 100 bytes
    assert verify_password("a" * 100, hashed)


def test_an_upgrade_is_wanted_for_other_rounds_only() -> None:
    hashed = hash_password("correct horse", 4)
    assert not needs_rehash(hashed, 4)
    assert needs_rehash(hashed, 5)


@pytest.mark.parametrize("hashed", ["", "!", "plain", "$2b$04$short", "$bcrypt-sha256$v=2,t=2b,r=4$x$y", "\0"])
def test_what_is_no_hash_verifies_nothing(hashed: str) -> None:
    assert not verify_password("correct horse", hashed)


def test_a_nul_byte_is_no_end_of_a_password() -> None:
    assert not verify_password("a\0b", bcrypt.hashpw(b"a", bcrypt.gensalt(4)).decode())
    assert not verify_password("a\0c", hash_password("a\0b", 4))


def test_opaque_tokens_are_random_and_stored_hashed() -> None:
    token = new_token()
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert token != new_token()
    assert token not in hash_token(token)


def test_a_token_says_who_and_which_session() -> None:
    session = uuid4()
    token = read_access_token(create_access_token("a@example.com", session, utcnow(), SETTINGS), SETTINGS)
    assert (token.subject, token.session_id) == ("a@example.com", session)


def claims(settings: Settings = ALL_DAY, **changes: Any) -> dict[str, Any]:
    token = create_access_token("a@example.com", uuid4(), utcnow(), settings)
    payload = token.split(".")[1]
    values = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {name: value for name, value in (values | changes).items() if value is not None}


def signed(values: dict[str, Any], algorithm: str = "HS256", secret: str = SETTINGS.secret) -> str:
    return jwt.encode({"alg": algorithm}, values, OctKey.import_key(secret), algorithms=[algorithm])


def test_a_token_has_all_its_claims_and_lives_half_an_hour() -> None:
    values = claims(SETTINGS)
    assert set(values) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "typ"}
    assert values["exp"] - values["iat"] == 1800
    assert read_access_token(signed(values), SETTINGS).subject == "a@example.com"


def test_a_token_is_over_the_second_it_expires() -> None:
    lifetime = timedelta(minutes=SETTINGS.access_token_expire_minutes)
    token = create_access_token("a@example.com", uuid4(), utcnow() - lifetime, SETTINGS)
    with pytest.raises(Unauthorized):
        read_access_token(token, SETTINGS)


@pytest.mark.parametrize(
    "change",
    [
        *({name: None} for name in ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "typ")),
        {"exp": 1_700_000_000},
        {"exp": "never"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"iss": "another"},
        {"typ": "refresh"},
        {"typ": ["access", "refresh"], "sid": 7},
        {"sid": "not-a-session"},
        {"sid": 5},
        {"sub": 5},
        {"sub": ""},
    ],
    ids=str,
)
def test_a_wrong_or_missing_claim_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        read_access_token(signed(claims(**change)), SETTINGS)


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


GOOD = create_access_token("a@example.com", uuid4(), utcnow(), ALL_DAY)


@pytest.mark.parametrize(
    "token",
    [
        signed(claims(), secret="another-secret-0123456789abcdefghijklmnopqr"),
        signed(claims(), algorithm="HS512"),
        f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
        f"{encoded({'alg': 'None'})}.{encoded(claims())}.",
        f"{encoded({'alg': 'HS256'})}.{encoded(claims())}.",
        GOOD[:-2],
        GOOD[:-1] + ("A" if GOOD[-1] != "A" else "Q"),
        f"{GOOD.split('.')[0]}.{encoded(claims(sub='b@example.com'))}.{GOOD.split('.')[2]}",
        f"{encoded({'alg': 'HS256'})}.{encoded([1])}.x",
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "\u00e9",
        new_token(),
        "x" * 100_000,
    ],
    ids=range(17),
)
def test_a_forged_or_broken_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized):
        read_access_token(token, SETTINGS)


def test_a_key_is_changed_without_signing_anyone_out() -> None:
    others = ["another-secret-0123456789abcdefghijklmnopqr", "a-third-secret-0123456789abcdefghijklmnopqrst"]
    for current, previous in [(others[0], [SETTINGS.secret]), (others[0], [others[1], SETTINGS.secret])]:
        changed = factories.settings(secret_key=current, secret_key_previous=previous)
        assert read_access_token(GOOD, changed).subject == "a@example.com"
        new = create_access_token("a@example.com", uuid4(), utcnow(), changed)
        assert read_access_token(new, changed).subject == "a@example.com"
        with pytest.raises(Unauthorized):
            read_access_token(new, SETTINGS)  # it is the new key that signs
        with pytest.raises(Unauthorized):
            read_access_token(GOOD, factories.settings(secret_key=current, secret_key_previous=[others[1]]))


def test_while_a_key_is_changed_processes_of_before_and_after_believe_each_other() -> None:
    """The steps of docs/DEPLOYMENT.md: at each, those of the step before serve beside the new ones."""
    old, new = SETTINGS.secret, "another-secret-0123456789abcdefghijklmnopqr"
    keys: list[tuple[str, list[str]]] = [(old, []), (old, [new, old]), (new, [new, old]), (new, [])]
    steps = [factories.settings(secret_key=key, secret_key_previous=previous) for key, previous in keys]
    for before, after in pairwise(steps):
        for signing, reading in ((before, after), (after, before)):
            token = create_access_token("a@example.com", uuid4(), utcnow(), signing)
            assert read_access_token(token, reading).subject == "a@example.com"
            assert decrypt(encrypt("secret", "anything", signing), "anything", reading) == "secret"
    assert steps[3].secrets == [new]
