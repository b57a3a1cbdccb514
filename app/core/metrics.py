"""Counts and times of requests for Prometheus, by route template: a raw path would be a label without bound."""

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

if TYPE_CHECKING:
    from prometheus_client import Histogram

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's: where several processes of one server count
UNKNOWN_ROUTE = "(none)"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestMetrics:
    @cached_property
    def _durations(self) -> "Histogram":
        # Made with the first request's figures, after its answer: the import would be 2 % of a start.
        from prometheus_client import CollectorRegistry, Histogram

        return Histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the answer's end.",
            ["method", "route", "status"],
            buckets=BUCKETS_S,
            registry=CollectorRegistry(),
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        self._durations.labels(_method(scope), route_template(scope), status).observe(seconds)

    def exposition(self) -> tuple[bytes, str]:
        """The text for Prometheus, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._durations), CONTENT_TYPE_LATEST
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def route_template(scope: Scope) -> str:
    """`/api/v1/items/{item_id}`. FastAPI keeps it in a private place; a test holds it there."""
    context: Any = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(context or scope.get("route"), "path", UNKNOWN_ROUTE)


def _method(scope: Scope) -> str:
    known = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
    return scope["method"] if scope["method"] in known else "OTHER"
