"""OpenTelemetry, by FastAPI's own support of it: off until OTEL_EXPORTER_OTLP_ENDPOINT is set.

The providers are this application's own, and no global ones: nothing else in the process adds to what is sent.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.config import Settings, SettingsError
from app.core.observability.logs import request_id
from app.core.observability.metrics import RequestMetrics

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.core.observability.telemetry_sdk import Providers

OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def open_telemetry(settings: Settings) -> "Providers | None":
    """None without an endpoint. Raises SettingsError when what it needs is not installed."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    try:
        from app.core.observability.telemetry_sdk import Providers
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT: {error.name} is not installed. Right: make setup EXTRAS=telemetry"
        ) from None
    return Providers(settings)


def telemetry_config(providers: "Providers | None") -> TelemetryConfig:
    return OFF if providers is None else providers.config


def observe_app(
    app: FastAPI, providers: "Providers | None", metrics: RequestMetrics, engines: "dict[str, AsyncEngine]"
) -> None:
    """Have every request measured, traced or not; the spans say whose they are; and each statement have a span."""
    if providers is None:
        return
    metrics.otel_durations = providers.durations
    if providers.tracer is not None:
        from app.core.observability.statement_spans import trace_statements

        app.add_middleware(SpanFields)
        for engine in engines.values():
            trace_statements(engine, providers.tracer)


@asynccontextmanager
async def sending(providers: "Providers | None") -> AsyncGenerator[None]:
    """Send meanwhile, and what is left in the end, when nobody waits for an answer any more."""
    if providers is None:
        yield
        return
    try:
        yield
    finally:
        await asyncio.to_thread(providers.close)


class SpanFields:
    """The request's id, by which its log lines are found, and the user's. Outermost: a 500 is made within it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = trace.get_current_span()
        if not span.is_recording():
            await self.app(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("request.id", request_id.get() or "")
                if (user_id := scope.get("state", {}).get("user_id")) is not None:
                    span.set_attribute("user.id", str(user_id))
            await send(message)

        await self.app(scope, receive, send_and_note)
