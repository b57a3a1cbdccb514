"""The providers of OpenTelemetry's SDK. Imported where an endpoint is set only: it takes a quarter of a second."""

import logging
import random
import re
import time
from threading import Thread

from fastapi.telemetry import TelemetryConfig
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer
from opentelemetry.util.re import parse_env_headers
from starlette.types import Scope

from app.core.config import Settings

# A line for each attempt while the collector is away; that it gave up is an error.
logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
CLOSE_S = 3.0  # what is not sent by then is lost
# W3C Trace Context, 3.2: the trace's id, the parent's, and whether the parent is traced.
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
SAMPLED = 1


class Providers:
    """What of an application's is sent, and how. `close` sends what is left."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.otel_exporter_otlp_endpoint
        self._headers = parse_env_headers(settings.otel_exporter_otlp_headers.get_secret_value(), liberal=True)
        self._sampling = Sampling(settings)
        self._resource = Resource.create({"service.name": settings.otel_service_name or settings.app_name})
        has_traces, has_metrics = (
            exporter == "otlp"
            for exporter in (
                settings.otel_traces_exporter,
                settings.otel_metrics_exporter,
            )
        )
        self._traces = self._tracing() if has_traces else None
        self._metrics = self._metering() if has_metrics else None
        self.durations = self._durations(self._metrics) if self._metrics is not None else None
        self.tracer: Tracer | None = self._traces.get_tracer("app") if self._traces is not None else None

    @property
    def config(self) -> TelemetryConfig:
        return {
            "tracer_provider": self._traces,
            "tracing": self._traces is not None,
            "metrics": False,  # FastAPI measures only what it traces
            "logs": False,  # they are on stdout
            "auto_configure": False,
            "exclude": self._sampling.leaves_out,
        }

    def close(self) -> None:
        providers = [provider for provider in (self._traces, self._metrics) if provider is not None]
        # As daemons: a collector that is away is tried for longer than a process may take to end.
        closing = [Thread(target=provider.shutdown, daemon=True) for provider in providers]
        for one in closing:
            one.start()
        deadline = time.monotonic() + CLOSE_S
        for one in closing:
            one.join(max(0.0, deadline - time.monotonic()))

    def _tracing(self) -> TracerProvider:
        provider = TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(WithoutQuery())
        exporter = OTLPSpanExporter(f"{self._endpoint}/v1/traces", headers=self._headers)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return provider

    def _metering(self) -> MeterProvider:
        exporter = OTLPMetricExporter(f"{self._endpoint}/v1/metrics", headers=self._headers)
        readers = [PeriodicExportingMetricReader(exporter)]
        return MeterProvider(metric_readers=readers, resource=self._resource, shutdown_on_exit=False)

    @staticmethod
    def _durations(provider: MeterProvider) -> Histogram:
        """Of all requests, traced or not, by the name and in the buckets of OpenTelemetry's semantic conventions."""
        return provider.get_meter("app").create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=BUCKETS_S,
        )


class WithoutQuery(SpanProcessor):
    """FastAPI puts the query string into a request's span, and with it a client's `?token=...`."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")


class Sampling:
    """Which requests are traced, by OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, decided before a span begins.

    OpenTelemetry's own samplers run when a span exists already, and again for each part of a request.
    """

    def __init__(self, settings: Settings) -> None:
        name = settings.otel_traces_sampler.removeprefix("parentbased_")
        self._goes_by_parent = settings.otel_traces_sampler != name
        self._share = {"always_on": 1.0, "always_off": 0.0}.get(name, settings.otel_traces_sampler_arg)

    def leaves_out(self, scope: Scope) -> bool:
        sent = (value for name, value in scope["headers"] if name == b"traceparent")
        parent = TRACEPARENT.fullmatch(next(sent, b""))
        if parent is not None and self._goes_by_parent:
            return not int(parent[2], 16) & SAMPLED
        # By the id, all services that take the same share take the same traces.
        place = int(parent[1][16:], 16) / 2**64 if parent is not None else random.random()  # noqa: S311 - no secret
        return place >= self._share
