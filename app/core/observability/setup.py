"""Where log lines go: to standard error in one form, and errors to Sentry where it is configured."""

import logging
import sys

from app.core.config import Settings
from app.core.observability.logs import ConsoleFormatter, RequestId, TraceId, json_formatter

# Our own lines have more than uvicorn's and Celery's; at DEBUG the drivers log every parameter; and Alembic each of its
# plugins.
QUIET = (
    "uvicorn.access",
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "alembic.runtime.plugins",
    "celery.app.trace",
    "celery.worker.strategy",
)

_ours: list[logging.Handler] = []  # made for some settings; those that are made for others take their place


def configure_logging(settings: Settings) -> None:
    """Sends every logger's lines, the server's too, to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if settings.logs_as_json else ConsoleFormatter())
    handler.addFilter(RequestId())
    if settings.otel_exporter_otlp_endpoint:
        handler.addFilter(TraceId())
    root = logging.getLogger()
    while _ours:
        root.removeHandler(_ours.pop())
    _ours.append(handler)
    if settings.sentry_dsn:
        from app.core.observability.sentry import reporting_errors

        _ours.append(reporting_errors(settings))
    for one in _ours:
        root.addHandler(one)
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
