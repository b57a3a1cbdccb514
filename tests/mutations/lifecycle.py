"""The account's whole life: refreshing, recovering, second factors, keys, limits, jobs and mails."""

from tests.mutations.defence import Defence, kept_by

SESSIONS = "app/auth/sessions.py"
TOKENS = "app/auth/account_tokens.py"
FACTOR = "app/auth/second_factor/service.py"
CHALLENGES = "app/auth/second_factor/challenges.py"
OUTBOX = "app/core/jobs/outbox.py"
EXECUTION = "app/core/jobs/execution.py"
MAIL = "app/core/mail.py"
DEPENDENCIES = "app/auth/dependencies.py"
TRANSACTIONS = "app/core/http/transactions.py"

LIFECYCLE = [
    Defence(
        "a used refresh token ends its session",
        SESSIONS,
        "        await db.delete(session)\n",
        "",
        kept_by("integration/test_refresh test_a_used_token_ends_its_session_though_the_answer_is_an_error"),
    ),
    Defence(
        "a refresh token is used up",
        SESSIONS,
        "token.used_at = session.last_used_at = utcnow()",
        "session.last_used_at = utcnow()",
        kept_by("integration/test_refresh test_of_racing_refreshes_one_wins_and_stays"),
    ),
    Defence(
        "who lost a race ends no session",
        SESSIONS,
        "if token.used_at is not None and token.used_at > came_at:",
        "if False:",
        kept_by("integration/test_refresh test_who_came_before_the_token_was_used_lost_a_race_and_no_session"),
    ),
    Defence(
        "an idle session is not refreshed",
        SESSIONS,
        " or session.last_used_at <= idle_since(settings)",
        "",
        kept_by("integration/test_refresh test_an_ended_session_is_not_refreshed"),
    ),
    Defence(
        "a reset token works once",
        TOKENS,
        "if await rows_changed(db, delete(AccountToken).where(AccountToken.token_hash == hash_token(token))) != 1:",
        "if False:",
        kept_by("integration/test_recovery test_of_racing_uses_of_one_token_one_wins"),
    ),
    Defence(
        "a token is good for its purpose only",
        TOKENS,
        ", AccountToken.purpose == purpose)\n        .where(",
        ")\n        .where(",
        kept_by("integration/test_recovery test_registering_sends_a_mail_that_verifies_the_address"),
    ),
    Defence(
        "a token expires",
        TOKENS,
        "AccountToken.expires_at > utcnow(), ",
        "",
        kept_by("integration/test_recovery test_a_token_is_dead_when"),
    ),
    Defence(
        "a reset ends every session",
        "app/auth/recovery.py",
        "    await end_sessions(db, account.id)\n",
        "",
        kept_by("integration/test_recovery test_a_forgotten_password_is_set_anew_once"),
    ),
    Defence(
        "a reset revokes the API keys",
        "app/auth/recovery.py",
        "    await revoke_keys(db, account.id)  # whoever had the password may have made some\n",
        "",
        kept_by("integration/test_api_keys test_a_reset_password_revokes_the_keys"),
    ),
    Defence(
        "an unverified account may only look after itself",
        DEPENDENCIES,
        "if user.email_verified_at is None and request.app.state.settings.require_verified_email:",
        "if False:",
        kept_by("integration/test_recovery test_an_unverified_account_may_only_look_after_itself"),
    ),
    Defence(
        "a changed address is to be verified anew",
        "app/auth/router.py",
        "account.email, account.email_verified_at = body.email, None",
        "account.email = body.email",
        kept_by(
            "integration/test_recovery test_a_changed_address_is_to_be_verified_anew_and_ends_the_other_sessions",
        ),
    ),
    Defence(
        "only known keys sign",
        "app/core/security.py",
        "for secret in settings.secrets:",
        "for secret in settings.secrets[:1]:",
        kept_by("unit/test_security test_a_key_is_changed_without_signing_anyone_out"),
    ),
    Defence(
        "a key may do what its scope says",
        DEPENDENCIES,
        "if identity.key_scope not in (None, WRITE) and request.method not in READING:",
        "if False:",
        kept_by("conformance/test_matrix test_api_keys"),
    ),
    Defence(
        "a key's secret is compared",
        DEPENDENCIES,
        " or not hmac.compare_digest(row.key_hash, hash_token(token))",
        "",
        kept_by("integration/test_api_keys test_anothers_prefix_with_ones_own_secret_is_nobody"),
    ),
    Defence(
        "a user's requests are limited",
        DEPENDENCIES,
        'await enforce(request, "user", request.app.state.settings.rate_limit_user, str(identity.id))',
        "pass",
        kept_by("integration/test_rate_limits test_every_signed_in_route_has_the_users_limit"),
    ),
    Defence(
        "wrong passwords are counted before they are looked at",
        "app/auth/service.py",
        "    await throttle.count_try(request, email)\n",
        "",
        kept_by("integration/test_login_throttle test_of_many_guesses_at_once_the_limit_is_looked_at"),
    ),
    Defence(
        "a code is good once",
        FACTOR,
        ", SecondFactor.last_step < step)",
        ")",
        kept_by("integration/test_second_factor_guessing test_a_code_is_good_once"),
    ),
    Defence(
        "guesses of codes wait",
        FACTOR,
        "if factor.blocked_until is not None and factor.blocked_until > now:",
        "if False:",
        kept_by("integration/test_second_factor_guessing test_of_a_hundred_guesses_at_an_account_five_are_checked"),
    ),
    Defence(
        "a challenge has five guesses",
        CHALLENGES,
        ", SignInChallenge.guesses < MAX_GUESSES)",
        ")",
        kept_by("integration/test_second_factor_guessing test_of_a_hundred_guesses_at_one_challenge_five_are_checked"),
    ),
    Defence(
        "a second factor is asked for",
        "app/auth/service.py",
        "if await active_factor(db, user.id):",
        "if False:",
        kept_by("integration/test_second_factor test_signing_in_takes_password_and_code"),
    ),
    Defence(
        "a failed sign-in is written down",
        "app/auth/service.py",
        '        await note_failure(request, user.id if user else None, "password")\n',
        "",
        kept_by("integration/test_audit test_an_unknown_address_fails_too_and_is_not_written_down"),
    ),
    Defence(
        "a job's end belongs to its lease",
        EXECUTION,
        "OutboxJob.state == RUNNING, OutboxJob.lease == row.lease)",
        "OutboxJob.state == RUNNING)",
        kept_by("integration/test_jobs test_a_late_attempt_is_rolled_back_while_another_runs"),
    ),
    Defence(
        "what a lost attempt wrote is rolled back",
        EXECUTION,
        "        if not await _update(db, row, done):\n            raise LeaseLost",
        "        await _update(db, row, done)",
        kept_by("integration/test_jobs test_a_process_that_dies_is_noticed_and_the_job_runs_again"),
    ),
    Defence(
        "a message that comes twice finds the row taken",
        OUTBOX,
        ".where(OutboxJob.id == job_id, is_ready)",
        ".where(OutboxJob.id == job_id)",
        kept_by("integration/test_jobs test_a_message_that_comes_twice_runs_its_job_once"),
    ),
    Defence(
        "a mail's HTML is escaped",
        MAIL,
        'autoescape=select_autoescape(["html"])',
        "autoescape=False",
        kept_by("integration/test_mail test_html_is_escaped_and_text_is_not"),
    ),
    Defence(
        "a password goes over TLS",
        MAIL,
        "start_tls=None if is_tls or not server.username else True",
        "start_tls=None",
        kept_by("integration/test_mail test_a_password_never_goes_in_clear"),
    ),
    Defence(
        "a deadlock is run again",
        TRANSACTIONS,
        "if number == RETRIES or not is_conflict(error):",
        "if True:",
        kept_by(
            "integration/test_transactions test_of_two_in_a_deadlock_both_succeed",
            "integration/test_transactions test_a_commit_that_fails_to_serialize_is_run_again",
        ),
        backend="postgresql",
    ),
    Defence(
        "who is always the victim of deadlocks hears to come again",
        TRANSACTIONS,
        "number == RETRIES or ",
        "",
        kept_by("integration/test_transactions test_who_is_always_the_victim_hears_to_come_again"),
        backend="postgresql",
    ),
    Defence(
        "what is run again gets its body again",
        TRANSACTIONS,
        "request = await _repeated(request, error)",
        "await _repeated(request, error)",
        kept_by("integration/test_transactions test_an_upload_is_whole_when_its_transaction_runs_again"),
    ),
    Defence(
        "what is run again is counted once",
        "app/core/rate_limit.py",
        "if (name, limits, caller) in counted:",
        "if False:",
        kept_by("integration/test_transactions test_a_request_that_is_run_again_is_counted_once"),
        backend="postgresql",
    ),
]
