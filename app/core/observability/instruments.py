"""Prometheus's instruments of a process. Imported at the first request only: its library takes time."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LIVE = "livesum"  # of the processes that are alive


class Instruments:
    """In a registry of their own: two applications in one process count apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # The memory, time and files of this process; where several count together it would be one of them.
        ProcessCollector(registry=self.registry)
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the answer's end.",
            ["method", "route", "status"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.refusals = self._counter("rate_limit_refusals", "Requests that a limit refused (429).", "limit")
        self.login_failures = self._counter("login_failures", "Wrong passwords and wrong codes at signing in.", "step")
        self.cache_lookups = self._counter("cache_lookups", "Values that were wanted of the cache.", "result")
        self.pool_in_use = self._gauge("db_pool_connections_in_use", "Database connections that are being used.")
        self.pool_max = self._gauge("db_pool_connections_max", "Database connections that the pool may open.")
        self._begin_at_zero()

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(name, text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["pool"], registry=self.registry, multiprocess_mode=LIVE)

    def _begin_at_zero(self) -> None:
        """A counter that appears with its first event hides that event: Prometheus sees no increase."""
        for limit in ("user", "login-account", "login-address"):
            self.refusals.labels(limit)
        for step in ("password", "second_factor"):
            self.login_failures.labels(step)
        for result in ("hit", "miss"):
            self.cache_lookups.labels(result)
