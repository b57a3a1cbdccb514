"""What is told to whoever operates: figures, traces, lines and errors."""

from tests.mutations.defence import Defence, kept_by

SDK = "app/core/observability/telemetry_sdk.py"
SENTRY = "app/core/observability/sentry.py"
SENT = kept_by("e2e/test_telemetry test_no_secret_is_in_what_is_sent")
MONITORED = kept_by("e2e/test_monitoring test_pools_are_those_of_the_processes_that_are_alive")

OBSERVATION = [
    Defence(
        "no query string is in a trace",
        SDK,
        'if span.attributes and "url.query" in span.attributes:',
        "if False:",
        SENT,
    ),
    Defence("no value is in Sentry's event", SENTRY, "        before_send=_without_values,\n", "", SENT),
    Defence(
        "no local variable is in Sentry's event",
        SENTRY,
        "include_local_variables=False",
        "include_local_variables=True",
        SENT,
    ),
    Defence(
        "no parameter is in a line about a statement",
        "app/core/observability/statement_watch.py",
        """_LITERAL.sub("'...'", statement)""",
        "statement",
        kept_by("integration/test_statement_watch test_a_slow_statement_is_named"),
    ),
    Defence(
        "a database that is away hangs no scrape",
        "app/health/backlog.py",
        "async with asyncio.timeout(TIMEOUT_S):",
        "async with asyncio.timeout(None):",
        kept_by("integration/test_metrics test_a_pool_that_is_taken_hangs_no_scrape"),
    ),
    Defence(
        "a killed process has no connections any more",
        "app/core/observability/metrics.py",
        'if not _is_alive(int(file.stem.rpartition("_")[2])):',
        "if False:",
        MONITORED,
    ),
]
