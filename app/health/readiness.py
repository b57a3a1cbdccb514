"""Whether this process can serve: what it needs is asked at once, in bounded time, and at most once a second.

Without its database, or on a schema that is older than the code, it cannot. Without Redis or the broker it serves on
(limits are counted by the process, jobs wait in the outbox): if that took an instance out of the rotation, it would
take all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel
from sqlalchemy.pool import QueuePool

from app.core.config import Settings
from app.core.database import Database
from app.core.migrations import is_behind
from app.core.service_url import answers

CACHE_S = 1.0
TIMEOUT_S = 2.0

State = Literal["ok", "away", "behind", "busy", "unknown"]


class Check(BaseModel):
    state: State
    ms: float


class Ready(BaseModel):
    status: Literal["ok", "degraded", "unavailable", "draining"]
    checks: dict[str, Check]


class Readiness:
    """A process's own. However many ask, one look is taken."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._services = {"redis": settings.redis_url, "broker": settings.celery_broker_url}
        self._look: asyncio.Task[Ready] | None = None
        self._fresh_until = 0.0

    async def look(self) -> Ready:
        if self._look is None or (self._look.done() and time.monotonic() >= self._fresh_until):
            self._look = asyncio.create_task(self._ask(), name="readiness")
        return await asyncio.shield(self._look)  # whoever asked first may go away

    async def _ask(self) -> Ready:
        services = {name: url for name, url in self._services.items() if url}
        asking = asyncio.gather(*(_timed(_ask_service, url) for url in services.values()))
        database, others = await asyncio.gather(self._ask_database(), asking)
        self._fresh_until = time.monotonic() + CACHE_S
        checks = database | dict(zip(services, others, strict=True))
        return Ready(status=_status(checks), checks=checks)

    async def _ask_database(self) -> dict[str, Check]:
        """One query tells both."""
        found = await _timed(self._migrations)
        if found.state in ("ok", "behind"):
            return {"database": Check(state="ok", ms=found.ms), "migrations": found}
        if found.state == "away" and _is_taken(self._database):
            found.state = "busy"
        return {"database": found, "migrations": Check(state="unknown", ms=found.ms)}

    async def _migrations(self) -> State:
        return "behind" if await is_behind(self._database) else "ok"


def _is_taken(database: Database) -> bool:
    """Whether every connection is in use: a process with too much to do is not to leave its share to the others."""
    pool = database.read_engine.pool
    return isinstance(pool, QueuePool) and pool.checkedout() >= pool.size()


async def _ask_service(url: str) -> State:
    return "ok" if await answers(url) else "away"


async def _timed(ask: Callable[..., Awaitable[State]], *arguments: str) -> Check:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            state = await ask(*arguments)
    except Exception:  # noqa: BLE001 - whatever a driver raises; which is it is nobody's business out there
        state = "away"
    return Check(state=state, ms=round((time.perf_counter() - started) * 1000, 1))


def _status(checks: dict[str, Check]) -> Literal["ok", "degraded", "unavailable"]:
    if checks["database"].state == "away" or checks["migrations"].state == "behind":
        return "unavailable"
    return "ok" if all(check.state == "ok" for check in checks.values()) else "degraded"
