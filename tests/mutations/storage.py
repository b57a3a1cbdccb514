"""What is stored: transactions, ETags, repeats, jobs, mails and settings."""

from tests.mutations.defence import Defence, kept_by

DATABASE = "app/core/database.py"
ENGINES = "app/core/db/engines.py"
ERRORS = "app/core/errors.py"
IDEMPOTENCY = "app/core/http/idempotency.py"
EXECUTION = "app/core/jobs/execution.py"
OUTBOX = "app/core/jobs/outbox.py"
MAIL = "app/core/mail.py"
CONFIG = "app/core/settings/faults.py"
PRODUCTION = kept_by("unit/test_config test_an_unsafe_production_does_not_start")
RACING_PUTS = kept_by("integration/test_transactions test_of_racing_puts_with_one_etag_one_wins")
KEYS = kept_by("integration/test_transactions test_a_key_is_its_owners_and_of_one_request")

OWN_WRITES = kept_by("e2e/test_replicas test_own_writes_are_seen_in_every_process_and_others_read_the_replica")
REDIS_BACK = kept_by(
    "e2e/test_replicas test_own_writes_are_seen_when_redis_is_killed_and_when_it_comes_back_without_them"
)

STORAGE = [
    Defence(
        "a quick read has its own statement's values",
        "app/core/plans.py",
        "extracted_parameters=key.bindparams if key else None, ",
        "",
        kept_by("integration/test_quick_reads test_statements_of_one_form_keep_their_own_values"),
    ),
    Defence(
        "a read that is given up ends in the server",
        "app/core/quick_postgresql.py",
        "await greenlet_spawn(connection.invalidate)",
        "connection.invalidate()",
        kept_by("integration/test_quick_reads test_a_read_that_is_given_up_ends_in_the_server"),
        backend="postgresql",
    ),
    Defence(
        "a lost connection is not handed out",
        ENGINES,
        "            raise DisconnectionError",
        "            pass",
        kept_by("e2e/test_pools test_after_a_restart_of_the_database_the_first_requests_succeed"),
    ),
    Defence(
        "a connection that is lost at its start is 503",
        ENGINES,
        "except (OSError, RuntimeError) as error:",
        "except OSError as error:",
        kept_by("integration/test_lost_connections test_whenever_a_connection_is_lost_the_client_hears_to_come_again"),
    ),
    Defence(
        "an endpoint's own ConnectionError is a bug",
        ERRORS,
        "app.add_exception_handler(DatabaseAway, _unavailable)",
        "app.add_exception_handler(ConnectionError, _unavailable)",
        kept_by("integration/test_errors test_errors_of_an_endpoints_own_code_are_a_logged_500"),
    ),
    Defence(
        "a NOT NULL violation is a bug",
        ERRORS,
        "if is_taken(error):",
        "if True:",
        kept_by("integration/test_errors test_other_violations_are_a_logged_500"),
    ),
    Defence(
        "a PostgreSQL that falls silent is given up",
        ENGINES,
        '"command_timeout": silence_s}',
        '"command_timeout": None}',
        kept_by("e2e/test_killed_databases test_a_database_that_falls_silent_keeps_nobody_waiting_and_no_connection"),
    ),
    Defence(
        "a Redis whose connection uvloop has closed is away",
        "app/core/db/redis.py",
        "except (RedisError, OSError, RuntimeError)",
        "except (RedisError, OSError)",
        kept_by("integration/test_lost_connections test_a_redis_that_ends_every_connection_is_away_and_nothing_else"),
    ),
    Defence(
        "a RuntimeError of our own is no Redis that is away",
        "app/core/db/redis.py",
        "if isinstance(error, RuntimeError) and UVLOOP_CLOSED not in str(error):",
        "if False:",
        kept_by("integration/test_redis test_a_runtime_error_of_our_own_is_raised_and_redis_is_not_away"),
    ),
    Defence(
        "a blocked event loop is no Redis that is away",
        "app/core/db/redis.py",
        "asyncio.timeout(None)",
        "asyncio.timeout(TICK_S * TIMEOUT_TICKS)",
        kept_by("integration/test_redis test_a_blocked_event_loop_leaves_limits_shared"),
    ),
    Defence(
        "a count that is taken back takes no other",
        "app/core/limits/counters.py",
        "            await self.add(key, window_s)  # to clear",
        "            await self.clear(key)  # to clear",
        kept_by("integration/test_redis test_a_count_taken_back_after_its_window_keeps_the_next_one"),
    ),
    Defence(
        "a write is run again when a migration has changed its columns",
        "app/core/db/errors.py",
        "return is_outdated or ",
        "return ",
        kept_by("integration/test_transactions test_a_migration_under_it_fails_no_write"),
        backend="postgresql",
    ),
    Defence(
        "a wait for a lock ends before its statement",
        ENGINES,
        '        "lock_timeout": str(statement_s * 1000 // LOCK_SHARE),\n',
        "",
        kept_by("integration/test_timeouts test_who_waits_for_a_locked_row_hears_to_come_again"),
    ),
    Defence(
        "behind PgBouncer a read cannot write",
        ENGINES,
        '{"postgresql_readonly": True}',
        "{}",
        kept_by("e2e/test_pgbouncer test_a_read_session_cannot_write_there"),
    ),
    Defence(
        "a write is noted before its answer",
        DATABASE,
        'await database.replicas.note_write(getattr(request.state, "user_id", None))',
        "pass",
        OWN_WRITES,
    ),
    Defence(
        "a read wants its user's writes",
        "app/core/db/replication/replicas.py",
        "if replica.shows(wanted)",
        "if replica",
        OWN_WRITES,
    ),
    Defence(
        "who is signed in is read on the primary",
        DATABASE,
        "Depends(get_primary_read_db)",
        "Depends(get_read_db)",
        kept_by("e2e/test_replicas test_who_is_signed_in_is_read_on_the_primary"),
    ),
    Defence(
        "a replica that is too far behind serves no more",
        "app/core/db/replication/watch.py",
        " if now - at <= self._max_lag_s)",
        ")",
        kept_by("e2e/test_replicas test_a_replica_that_is_behind_leaves_and_comes_back"),
    ),
    Defence(
        "a promoted replica serves no more",
        "app/core/db/replication/watch.py",
        ' if str(is_replica) not in ("0", "OFF") else None',
        "",
        kept_by("e2e/test_replicas test_a_replica_that_is_promoted_leaves"),
    ),
    Defence(
        "reads of a replica that hangs are given up",
        "app/core/db/replication/watch.py",
        "            limit.reschedule(asyncio.get_running_loop().time())",
        "            pass",
        kept_by("e2e/test_replicas test_reads_of_a_replica_that_hangs_are_the_primarys"),
    ),
    Defence(
        "what cannot be noted is waited for",
        "app/core/db/replication/replicas.py",
        "await self.watch.wait_for_all(position)",
        "pass",
        kept_by("e2e/test_replicas test_who_cannot_tell_the_others_waits_until_each_replica_shows_it"),
    ),
    Defence(
        "a Redis without its epoch is not believed",
        "app/core/db/replication/own_writes.py",
        "if epoch is None or young is not None or ",
        "if ",
        kept_by("e2e/test_replicas test_own_writes_are_seen_when_redis_is_flushed"),
    ),
    Defence(
        "another run of Redis is not believed",
        "app/core/db/replication/own_writes.py",
        "self._sure_at = time.monotonic() + self._lasts_s",
        "pass",
        REDIS_BACK,
    ),
    Defence(
        "the commit is before the answer",
        DATABASE,
        "await session.commit()  # and",
        "asyncio.ensure_future(session.commit())  # and",
        kept_by("integration/test_transactions test_a_commit_that_fails_is_not_heard_as_success"),
    ),
    Defence(
        "a writer waits for the other process",
        ENGINES,
        'connection.exec_driver_sql("BEGIN IMMEDIATE")',
        'connection.exec_driver_sql("BEGIN")',
        kept_by("integration/test_sqlite test_a_writer_that_reads_first_is_never_told_that_it_came_too_late"),
    ),
    Defence(
        "a read session cannot write",
        ENGINES,
        'cursor.execute("PRAGMA query_only=ON")',
        "pass",
        kept_by("integration/test_transactions test_a_read_session_cannot_write"),
    ),
    Defence(
        "rows go with their user",
        ENGINES,
        'cursor.execute("PRAGMA foreign_keys=ON")',
        "pass",
        kept_by("integration/test_items test_items_go_with_their_user_in_the_database_itself"),
    ),
    Defence(
        "an old ETag is refused",
        "app/core/etag.py",
        "if etag_of(schema.model_validate(row).model_dump_json().encode()) not in self._wanted:",
        "if False:",
        RACING_PUTS,
    ),
    Defence(
        "an item's If-Match is looked at",
        "app/examples/dependencies.py",
        "    if_match.check(ExampleItemResponse, item)\n",
        "",
        kept_by("conformance/test_matrix test_etags"),
    ),
    Defence(
        "an account's If-Match is looked at",
        "app/users/dependencies.py",
        "    if_match.check(UserResponse, account)\n",
        "",
        kept_by("conformance/test_matrix test_etags"),
    ),
    Defence(
        "writing the same is a write",
        "app/core/schemas.py",
        "row.updated_at = utcnow()",
        "pass",
        RACING_PUTS,
    ),
    Defence(
        "a key is of one request",
        IDEMPOTENCY,
        "if first.fingerprint != await _fingerprint(request):",
        "if False:",
        KEYS,
    ),
    Defence("a key is its owner's", IDEMPOTENCY, "IdempotencyKey.user_id == user_id, ", "", KEYS),
    Defence(
        "a repeat is answered as before",
        IDEMPOTENCY,
        "            await _store(request, response)\n",
        "            pass\n",
        kept_by("integration/test_transactions test_of_racing_posts_with_one_key_one_makes_a_row"),
    ),
    Defence(
        "a job that was taken over writes nothing",
        EXECUTION,
        "            raise LeaseLost",
        "            pass",
        kept_by("integration/test_jobs test_a_process_that_dies_is_noticed_and_the_job_runs_again"),
    ),
    Defence(
        "a job has its lease",
        OUTBOX,
        "row.due_at = _in((task.timeout_s if task else TIMEOUT_S) + LEASE_MARGIN_S)",
        "row.due_at = utcnow()",
        kept_by("integration/test_jobs test_a_process_that_dies_is_noticed_and_the_job_runs_again"),
    ),
    Defence(
        "what kills its process does so no more often than it may fail",
        OUTBOX,
        "if row.state != RUNNING or task is None or row.attempts < task.max_attempts:",
        "if True:",
        kept_by("integration/test_jobs test_what_kills_its_process_does_so_no_more_often_than_it_may_fail"),
    ),
    Defence(
        "an address is one address",
        MAIL,
        'message["To"] = _address(to)',
        'message["To"] = to',
        kept_by("integration/test_mail test_nobody_adds_a_header"),
    ),
    Defence(
        "values are escaped in the HTML",
        MAIL,
        'autoescape=select_autoescape(["html"])',
        "autoescape=False",
        kept_by("integration/test_mail test_html_is_escaped_and_text_is_not"),
    ),
    Defence(
        "the mail server's password goes over TLS",
        MAIL,
        "start_tls=None if is_tls or not server.username else True",
        "start_tls=None",
        kept_by("integration/test_mail test_a_password_never_goes_in_clear"),
    ),
    Defence(
        "production wants a long secret",
        CONFIG,
        "elif len(settings.secret) < MIN_SECRET_LENGTH:",
        "elif False:",
        PRODUCTION,
    ),
    Defence("production is not debugged", CONFIG, "    if settings.debug:", "    if False:", PRODUCTION),
    Defence("production names its origins", CONFIG, 'if "*" in settings.allowed_origins:', "if False:", PRODUCTION),
    Defence(
        "production hashes dearly",
        CONFIG,
        "if settings.bcrypt_rounds < MIN_PRODUCTION_BCRYPT_ROUNDS:",
        "if False:",
        PRODUCTION,
    ),
]
