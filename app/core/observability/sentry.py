"""Errors to Sentry, where SENTRY_DSN is set: each log line of level ERROR, with its traceback, request and user.

None of Sentry's integrations is used: they patch what every request goes through, and send what it held.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import trace

from app.core.config import Settings, SettingsError
from app.core.db.errors import describe
from app.core.observability.logs import ConsoleFormatter, request_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

NOT_SENT = ("request", "breadcrumbs", "modules")


def reporting_errors(settings: Settings) -> logging.Handler:
    """Raises SettingsError when what it needs is not installed."""
    try:
        import sentry_sdk
        from sentry_sdk.integrations.atexit import AtexitIntegration
        from sentry_sdk.integrations.logging import EventHandler
    except ModuleNotFoundError as error:
        raise SettingsError(f"SENTRY_DSN: {error.name} is not installed. Right: make setup EXTRAS=sentry") from None
    sentry_sdk.init(
        settings.sentry_dsn,
        environment=settings.environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[AtexitIntegration(lambda _pending, _timeout: None)],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=_without_values,
    )
    handler = EventHandler(level=logging.ERROR)
    # It formats each record, which leaves the traceback in it, as other handlers would then find it.
    handler.setFormatter(ConsoleFormatter())
    return handler


def _without_values(event: "Event", hint: "Hint") -> "Event":
    """Whatever was not made here is taken out: an exception's words may hold a row, or what was sent."""
    told = {type(error).__name__: describe(error).partition(": ")[2] for error in _chain(hint)}
    for one in event.get("exception", {}).get("values", []):
        one["value"] = told.get(str(one.get("type")), "")
    for name in NOT_SENT:
        event.pop(name, None)
    cast("dict[str, Any]", event.get("logentry", {})).pop("params", None)
    extra = event.get("extra", {})
    if "route" in extra:
        event["transaction"] = str(extra["route"])
    if "user_id" in extra:
        event["user"] = {"id": str(extra["user_id"])}
    event["tags"] = _tags()
    return event


def _tags() -> dict[str, str]:
    """What its log lines, and its trace, are found by."""
    tags = {"request_id": identifier} if (identifier := request_id.get()) else {}
    context = trace.get_current_span().get_span_context()
    return tags | ({"trace_id": trace.format_trace_id(context.trace_id)} if context.is_valid else {})


def _chain(hint: "Hint") -> Iterator[BaseException]:
    """Each once: what caused an error is often what it was raised in the handling of, too, and may be itself."""
    todo = [hint["exc_info"][1]] if hint.get("exc_info") else []
    seen: set[int] = set()
    while todo:
        error = todo.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        todo += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
