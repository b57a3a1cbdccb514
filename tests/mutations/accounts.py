"""Passwords, signing in and out, and who stays a superuser."""

from tests.mutations.defence import Defence, kept_by

SECURITY = "app/core/security.py"
HASHING = "app/auth/hashing.py"
PASSWORDS = "app/auth/passwords.py"
BAD_PASSWORD = kept_by("integration/test_auth test_a_bad_password_is_refused_and_not_echoed")

ACCOUNTS = [
    Defence(
        "another password is not the password",
        SECURITY,
        'return hmac.compare_digest(_hash(password, int(match["rounds"]), match["salt"]), hashed)',
        "return True",
        kept_by("unit/test_security test_a_hash_verifies_its_password_and_no_other"),
    ),
    Defence(
        "all of a password counts",
        SECURITY,
        "base64.b64encode(digest)",
        "normal.encode()[:72]",
        kept_by("unit/test_security test_every_one_of_many_code_points_counts"),
    ),
    Defence(
        "a password is one in any Unicode form",
        SECURITY,
        'unicodedata.normalize("NFKC", password)',
        "password",
        kept_by("unit/test_security test_one_password_in_two_unicode_forms_is_one_password"),
    ),
    Defence(
        "opaque tokens are stored hashed",
        SECURITY,
        "return hashlib.sha256(token.encode()).hexdigest()",
        "return token",
        kept_by("unit/test_security test_opaque_tokens_are_random_and_stored_hashed"),
    ),
    Defence(
        "an unknown address costs a hash",
        HASHING,
        "self._verify(password, hashed or self._nobody)",
        "hashed is not None and self._verify(password, hashed)",
        kept_by("unit/test_hashing test_without_a_hash_as_much_is_computed"),
    ),
    Defence(
        "the hash of nobody is as dear as the others",
        HASHING,
        'f"$bcrypt-sha256$v=2,t=2b,r={rounds}$',
        'f"$bcrypt-sha256$v=2,t=2b,r=4$',
        kept_by("unit/test_hashing test_without_a_hash_as_much_is_computed"),
    ),
    Defence(
        "an unknown address is sent to the hasher",
        "app/auth/service.py",
        "matches = await hasher.verify(password, user.hashed_password if user else None)",
        "matches = user is not None and await hasher.verify(password, user.hashed_password)",
        kept_by("integration/test_sign_in_cost test_a_sign_in_costs_one_hash_whoever_tries"),
    ),
    Defence(
        "hashes are bounded",
        HASHING,
        "if self._waiting >= MAX_WAITING:",
        "if False:",
        kept_by("unit/test_hashing test_too_many_hashes_are_refused"),
    ),
    Defence(
        "common passwords are refused",
        PASSWORDS,
        "if lowered in _common_passwords():",
        "if False:",
        BAD_PASSWORD,
    ),
    Defence("short passwords are refused", PASSWORDS, "if len(password) < min_length:", "if False:", BAD_PASSWORD),
    Defence(
        "the address is no password",
        PASSWORDS,
        'if lowered in (email, email.partition("@")[0]):',
        "if False:",
        BAD_PASSWORD,
    ),
    Defence(
        "one mailbox gets few mails",
        "app/auth/throttle.py",
        "return not spent[-1].is_over",
        "return True",
        kept_by("integration/test_recovery test_one_mailbox_gets_few_mails_however_often_it_is_asked_for"),
    ),
    Defence(
        "a wrong password costs as much after a change of the rounds",
        "app/auth/hashing.py",
        "if not is_right:",
        "if False:",
        kept_by("integration/test_sign_in_cost test_a_wrong_password_costs_as_much_after_a_change_of_the_rounds"),
    ),
    Defence(
        "the form of a sign-in takes no endless password",
        "app/auth/schemas.py",
        "    username: Annotated[str, Field(max_length=MAX_EMAIL_LENGTH)]\n    password: Password",
        "    username: str\n    password: SecretStr",
        kept_by("integration/test_auth test_a_password_that_is_too_long_is_not_looked_at"),
    ),
    Defence(
        "the password that is looked at is the one that is hashed",
        "app/auth/passwords.py",
        'password = unicodedata.normalize("NFKC", password)  # what is hashed',
        "pass",
        kept_by("integration/test_auth test_a_bad_password_is_refused_and_not_echoed"),
    ),
    Defence(
        "an address that is not verified takes no second factor",
        "app/auth/second_factor/service.py",
        "if account.email_verified_at is None:",
        "if False:",
        kept_by("integration/test_second_factor test_an_address_that_is_not_verified_takes_no_second_factor"),
    ),
    Defence(
        "an address stays while a second factor is on",
        "app/auth/router.py",
        "if await active_factor(db, account.id):",
        "if False:",
        kept_by("integration/test_second_factor test_an_address_stays_while_a_second_factor_is_on"),
    ),
    Defence(
        "an address is one account in any form",
        "app/core/schemas.py",
        'unicodedata.normalize("NFKC", local.lower())',
        "local",
        kept_by("integration/test_auth test_an_address_is_one_account_in_any_form"),
    ),
    Defence(
        "a password that changed meanwhile opens no session",
        "app/auth/service.py",
        "if await db.scalar(statement) != user.hashed_password:",
        "if await db.scalar(statement) is None:",
        kept_by("integration/test_auth test_an_account_that_changes_during_a_sign_in_opens_no_session"),
    ),
    Defence(
        "a deactivated account signs in no more",
        "app/auth/service.py",
        "where(User.id == user.id, User.is_active)",
        "where(User.id == user.id)",
        kept_by("integration/test_auth test_an_account_that_changes_during_a_sign_in_opens_no_session"),
    ),
    Defence(
        "a new password signs the other devices out",
        "app/auth/router.py",
        "await end_sessions(db, user.id, keep=user.session_id)",
        "pass",
        kept_by("integration/test_auth test_a_new_password_signs_the_other_devices_out"),
    ),
    Defence(
        "an account changes only with its password",
        "app/auth/service.py",
        "if not await hasher.verify(password, account.hashed_password):",
        "if False:",
        kept_by("integration/test_auth test_an_account_changes_only_with_its_password"),
    ),
    Defence(
        "a deactivated account is signed out",
        "app/users/router.py",
        "if not account.is_active:",
        "if False:",
        kept_by("integration/test_users test_a_deactivated_account_is_out_at_once_and_stays_out"),
    ),
    Defence(
        "a superuser stays",
        "app/auth/models.py",
        "if await db.scalar(select(User.id).where(User.is_superuser, User.is_active).limit(1)) is None:",
        "if False:",
        kept_by("integration/test_users test_the_last_superuser_stays"),
    ),
]
