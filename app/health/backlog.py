"""How many jobs wait and for how long, as the database says when Prometheus asks: the same from every process.

It is asked in bounded time, and once in a few seconds however many ask. A database that is away is a figure, too.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from app.core.database import Database, Row, utcnow
from app.core.jobs.outbox import DONE, STATES, OutboxJob
from app.health.looks import SharedLook

if TYPE_CHECKING:
    from prometheus_client import Metric

CACHE_S = 2.0
TIMEOUT_S = 2.0

UNDONE = [state for state in STATES if state != DONE]


class Backlog:
    """A process's own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.look = SharedLook("backlog", CACHE_S, self._ask)

    async def _ask(self) -> "Found":
        not_begun = case((OutboxJob.attempts == 0, OutboxJob.created_at))
        counted = select(OutboxJob.state, func.count().label("jobs"), func.min(not_begun).label("oldest"))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                rows = await self._database.read.all(
                    counted.where(OutboxJob.state.in_(UNDONE)).group_by(OutboxJob.state)
                )
        except Exception:  # noqa: BLE001 - whatever a driver raises: it does not answer
            return Found(None)
        return Found(rows)


class Found:
    """What the database said, for Prometheus; None: nothing."""

    def __init__(self, rows: list[Row] | None) -> None:
        self._rows = rows

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily

        is_up = self._rows is not None
        yield GaugeMetricFamily("database_up", f"Whether the database answered within {TIMEOUT_S:g} s.", is_up)
        if self._rows is None:
            return  # no figure: 0 would say that nothing waits
        jobs = GaugeMetricFamily("outbox_jobs", "Jobs that are not done, by state.", labels=["state"])
        for state in UNDONE:
            jobs.add_metric([state], sum(row.jobs for row in self._rows if row.state == state))
        yield jobs
        yield GaugeMetricFamily(
            "outbox_oldest_waiting_seconds",
            "Age of the oldest job that nobody has begun; 0 without one.",
            self._age_s(),
        )

    def _age_s(self) -> float:
        oldest = [row.oldest for row in self._rows or () if row.oldest is not None]
        return max(0.0, (utcnow() - min(oldest)).total_seconds()) if oldest else 0.0
