"""A span for each statement of a request that is traced: its text with placeholders, never a parameter."""

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.observability.statement_watch import shape

SPAN = "groundwork_span"  # an attribute of what SQLAlchemy knows of one execution


def is_traced() -> bool:
    """Whether the request is one of those whose traces are sent."""
    return trace.get_current_span().is_recording()


def trace_statements(engine: AsyncEngine, tracer: Tracer) -> None:
    system = engine.dialect.name  # as the semantic conventions name it

    def begin(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        if is_traced():
            text = shape(statement)
            fields = {"db.system.name": system, "db.query.text": text}
            setattr(context, SPAN, tracer.start_span(text.partition(" ")[0], kind=SpanKind.CLIENT, attributes=fields))
        return statement, parameters

    def end(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: bool) -> None:
        if (span := getattr(context, SPAN, None)) is not None:
            span.end()

    def fail(failed: ExceptionContext) -> None:
        span = getattr(failed.execution_context, SPAN, None)
        if span is not None and span.is_recording():  # it has ended where reading the result is what failed
            span.set_attribute("error.type", type(failed.original_exception).__name__)
            span.set_status(StatusCode.ERROR)
            span.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin, retval=True)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
