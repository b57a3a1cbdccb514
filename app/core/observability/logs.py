"""Logs: one line an event, human in development, JSON in production, each with its request's id."""

import logging
import time
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from starlette.types import Scope

from app.core.db.errors import describe

UNKNOWN_ROUTE = "(none)"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


def route_template(scope: Scope) -> str:
    """`/api/v1/items/{item_id}`. FastAPI keeps it in a private place; a test holds it there."""
    if template := scope.get("route_template"):
        return template
    context: Any = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(context or scope.get("route"), "path", UNKNOWN_ROUTE)


class RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if identifier := request_id.get():
            record.request_id = identifier
        return True


class TraceId(logging.Filter):
    """Only where requests are traced."""

    def filter(self, record: logging.LogRecord) -> bool:
        from opentelemetry.trace import format_trace_id, get_current_span

        context = get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = format_trace_id(context.trace_id)
        return True


class ConsoleFormatter(logging.Formatter):
    """`12:30:01.250 INFO    GET /api/v1/items  status=200 duration_ms=3.1 request_id=...`"""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        extra = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in STANDARD)
        line = f"{clock}.{int(record.msecs):03} {record.levelname:<7} {record.getMessage()}"
        lines = [f"{line}  {extra}" if extra else line]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return format_exception(ei)


def format_exception(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """A traceback whose last lines hold no value that was stored or sent."""
    parts: list[str] = []
    seen: set[int] = set()  # `raise error from error` is its own cause
    error: BaseException | None = exc_info[1]
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{describe(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhile handling, or because of:\n\n".join(reversed(parts))


def json_formatter() -> logging.Formatter:
    from pythonjsonlogger.core import RESERVED_ATTRS
    from pythonjsonlogger.json import JsonFormatter

    class Json(JsonFormatter):
        def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
            return format_exception(ei)

    return Json(
        ["timestamp", "levelname", "name", "message"],
        timestamp=True,
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],
    )
