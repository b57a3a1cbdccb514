"""Counts and times for Prometheus, by route template: a raw path would be a label without bound."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from starlette.types import Scope

from app.core.db.errors import describe
from app.core.observability.logs import UNKNOWN_ROUTE

if TYPE_CHECKING:
    from opentelemetry import metrics as otel
    from prometheus_client.registry import Collector

    from app.core.observability.instruments import Instruments

logger = logging.getLogger("app.metrics")

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's: where several processes of one server count
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
NOTE_POOLS_S = 5.0

Pools = dict[str, tuple[int, int]]  # connections in use, and how many there may be, by the pool's name


class RequestMetrics:
    """What a process counts of its requests; in SHARED_FOLDER, beside its server's other processes."""

    @cached_property
    def counted(self) -> "Instruments":
        # Made with the first request's figures, after its answer: the import would be 2 % of a start.
        from app.core.observability.instruments import Instruments

        return Instruments()

    # OpenTelemetry's, where its metrics are sent.
    otel_durations: "otel.Histogram | None" = None

    def observe_otel(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        if self.otel_durations is not None:
            self.otel_durations.record(seconds, _otel_attributes(scope, route, status))

    def refused(self, limit: str) -> None:
        """A limit's 429; by the limit, never by whom it was for."""
        self.counted.refusals.labels(limit).inc()

    def login_failed(self, step: Literal["password", "second_factor"]) -> None:
        """Not by the reason: it would tell whether an address has an account."""
        self.counted.login_failures.labels(step).inc()

    def looked_up(self, result: Literal["hit", "miss"]) -> None:
        self.counted.cache_lookups.labels(result).inc()

    def note_pools(self, pools: Pools) -> None:
        for name, (in_use, most) in pools.items():
            self.counted.pool_in_use.labels(name).set(in_use)
            self.counted.pool_max.labels(name).set(most)

    def exposition(self, found: "Collector") -> tuple[bytes, str]:
        """The text for Prometheus, and its content type; with what was found elsewhere than in the processes."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if SHARED_FOLDER in os.environ:
            counted = CollectorRegistry()
            _forget_the_dead(Path(os.environ[SHARED_FOLDER]))
            MultiProcessCollector(counted)
        else:
            counted = self.counted.registry
        asked = CollectorRegistry()
        asked.register(found)
        return generate_latest(counted) + generate_latest(asked), CONTENT_TYPE_LATEST


@asynccontextmanager
async def noting_pools(metrics: RequestMetrics, look: Callable[[], Pools]) -> AsyncGenerator[None]:
    """Where several processes count together, any of them is asked, and only each one knows its own pools."""
    if SHARED_FOLDER not in os.environ:
        yield
        return

    async def note() -> None:
        while True:
            try:
                metrics.note_pools(look())
            except OSError as error:  # of the folder
                logger.warning("the pools cannot be noted now", extra={"error": describe(error)})
            await asyncio.sleep(NOTE_POOLS_S)

    noting = asyncio.create_task(note(), name="pools")
    try:
        yield
    finally:
        noting.cancel()
        with suppress(asyncio.CancelledError):
            await noting


def _forget_the_dead(folder: Path) -> None:
    """What processes have at this moment ends with them, also when they were killed; what they counted does not."""
    for file in folder.glob("gauge_live*_*.db"):
        if not _is_alive(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):  # it is another user's by now: none of this server's
        os.kill(pid, 0)
        return True
    return False


def _otel_attributes(scope: Scope, route: str, status: int) -> dict[str, str | int]:
    """As OpenTelemetry's conventions have them, and FastAPI."""
    method = scope["method"]
    fields: dict[str, str | int] = {
        "url.scheme": scope.get("scheme", "http"),
        "http.request.method": method if method in METHODS else "_OTHER",
        "network.protocol.version": scope.get("http_version", "1.1"),
        "http.response.status_code": status,
    }
    if route != UNKNOWN_ROUTE:
        fields["http.route"] = route
    if status >= 500:
        fields["error.type"] = str(status)
    return fields
