"""Whether this process can serve: what it needs is asked at once, in bounded time, and at most once a second.

Without its database, or on a schema that is older than the code, it cannot. Without Redis or the broker it serves on
(limits are counted by the process, jobs wait in the outbox): if that took an instance out of the rotation, it would
take all of them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel
from sqlalchemy.pool import QueuePool

from app.core.config import Settings
from app.core.database import Database
from app.core.db.errors import describe
from app.core.db.migrations import is_behind
from app.core.settings.service_url import answers
from app.health.looks import SharedLook

logger = logging.getLogger("app.readiness")

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
        self._reasons: dict[str, str] = {}
        self._away: set[str] = set()
        self.is_draining = False  # the server is about to stop
        self.look = SharedLook("readiness", CACHE_S, self._ask)

    async def _ask(self) -> Ready:
        services = {name: url for name, url in self._services.items() if url}
        asking = asyncio.gather(*(self._timed(name, _ask_service, url) for name, url in services.items()))
        database, others = await asyncio.gather(self._ask_database(), asking)
        checks = database | dict(zip(services, others, strict=True))
        self._tell({name for name, check in checks.items() if check.state == "away"})
        return Ready(status=_status(checks), checks=checks)

    async def _ask_database(self) -> dict[str, Check]:
        """One query tells both."""
        found = await self._timed("database", self._migrations)
        if found.state in ("ok", "behind"):
            return {"database": Check(state="ok", ms=found.ms), "migrations": found}
        if found.state == "away" and _is_taken(self._database):
            found.state = "busy"
        return {"database": found, "migrations": Check(state="unknown", ms=found.ms)}

    async def _migrations(self) -> State:
        return "behind" if await is_behind(self._database) else "ok"

    async def _timed(self, name: str, ask: Callable[..., Awaitable[State]], *arguments: str) -> Check:
        started = time.perf_counter()
        self._reasons.pop(name, None)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                state = await ask(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises; which is it is nobody's business out there
            state, self._reasons[name] = "away", describe(error)
        return Check(state=state, ms=round((time.perf_counter() - started) * 1000, 1))

    def _tell(self, away: set[str]) -> None:
        """The log, once when one goes and once when it is back."""
        for name in sorted(away - self._away):
            logger.error("%s is away", name, extra={"error": self._reasons.get(name, "it does not answer")})
        for name in sorted(self._away - away):
            logger.warning("%s is back", name)
        self._away = away


def _is_taken(database: Database) -> bool:
    """Whether every connection is in use: a process with too much to do is not to leave its share to the others."""
    pool = database.read_engine.pool
    return isinstance(pool, QueuePool) and pool.checkedout() >= pool.size()


async def _ask_service(url: str) -> State:
    return "ok" if await answers(url) else "away"


def _status(checks: dict[str, Check]) -> Literal["ok", "degraded", "unavailable"]:
    if checks["database"].state == "away" or checks["migrations"].state == "behind":
        return "unavailable"
    return "ok" if all(check.state == "ok" for check in checks.values()) else "degraded"
