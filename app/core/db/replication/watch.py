"""How far each replica is, as one process sees it: it looks at the primary and at the replicas all the time.

How far a replica is behind is measured on this machine's clock alone: what the primary had written when it was looked
at was written by then, so that a replica which shows it is behind by no more than that look is old.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.config import Settings
from app.core.db.engines import make_engine, make_fast_reads
from app.core.db.errors import describe
from app.core.db.replication.positions import SHOWN, WRITTEN, Position, parse, reached
from app.core.db.session import Reader

logger = logging.getLogger("app.replicas")

WATCH_S = 1.0
LOOK_TIMEOUT_S = 2.0
BETWEEN_LOOKS_S = 0.02  # while somebody waits for a replica
MARGIN_S = 2  # a replica that was out of one process's rotation for so much longer than its lag is out of all


class Replica:
    """What this process knows of one."""

    def __init__(self, settings: Settings, address: str) -> None:
        own = settings.model_copy(update={"database_url": address})
        self.name = f"{own.url.host}:{own.url.port or ''}".rstrip(":")
        self.engine = make_engine(own, read_only=True)
        self.reader = Reader(self.engine, make_fast_reads(self.engine, own))
        self.watched = _watched(own)
        self.shown: Position | None = None  # None: it is no replica, or does not answer
        self.seen_at = 0.0
        self.served_at = time.monotonic()  # when it was last in the rotation; a new process cannot know
        self.is_serving = False
        self.wanted = asyncio.Event()  # to be looked at now
        self._reads: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Raises TimeoutError in the middle of a read when the replica is found not to answer: it would never end."""
        async with asyncio.timeout(None) as limit:
            self._reads.add(limit)
            try:
                yield
            finally:
                self._reads.discard(limit)

    def give_up(self) -> None:
        self.shown = None
        given_up, self._reads = self._reads, set()
        for limit in given_up:
            limit.reschedule(asyncio.get_running_loop().time())

    def shows(self, position: Position) -> bool:
        return self.shown is not None and reached(self.shown, position)


class Watch:
    def __init__(self, settings: Settings) -> None:
        self.replicas = [Replica(settings, address) for address in settings.database_replica_urls]
        self._primary = _watched(settings)
        self._backend = settings.url.get_backend_name()
        self._max_lag_s = settings.replica_max_lag_seconds
        self._looks: deque[tuple[float, Position]] = deque(maxlen=2 + int(self._max_lag_s / WATCH_S))

    def serves(self, replica: Replica) -> bool:
        """Whether it is a replica, answers, and is not too far behind."""
        now = time.monotonic()
        if replica.shown is None or now - replica.seen_at > self._max_lag_s:
            return False
        return any(replica.shows(written) for at, written in reversed(self._looks) if now - at <= self._max_lag_s)

    def note_failure(self, replica: Replica, error: Exception) -> None:
        """It failed a read: it is out until it has been looked at again."""
        replica.shown = None  # without giving up the other reads: it may have been one connection of many
        self._say(replica, error)

    async def wait_for_all(self, position: Position) -> None:
        """Until every replica that any process may read from shows it, or is too far behind for all."""
        until = time.monotonic() + self._max_lag_s + MARGIN_S
        while time.monotonic() < until:
            behind = [replica for replica in self.replicas if self._may_serve(replica) and not replica.shows(position)]
            if not behind:
                return
            for replica in behind:
                replica.wanted.set()
            await asyncio.sleep(BETWEEN_LOOKS_S)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_primary())
            for replica in self.replicas:
                group.create_task(self._watch(replica))

    async def close(self) -> None:
        await self._primary.dispose()
        for replica in self.replicas:
            await replica.reader.close()
            await replica.watched.dispose()

    async def _watch_primary(self) -> None:
        while True:
            at = time.monotonic()
            with suppress(Exception):  # who cannot be asked says nothing, and in time every replica is too far behind
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    self._looks.append((at, parse((await row(self._primary, WRITTEN[self._backend]))[0])))
            await asyncio.sleep(WATCH_S)

    async def _watch(self, replica: Replica) -> None:
        while True:
            replica.wanted.clear()
            at, error = time.monotonic(), None
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    is_replica, shown = await row(replica.watched, SHOWN[self._backend])
                replica.shown = parse(shown) if str(is_replica) not in ("0", "OFF") else None
                replica.seen_at = at
            except Exception as failed:  # noqa: BLE001 - this loop has to outlive whatever it is
                replica.give_up()
                error = failed
            self._say(replica, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await replica.wanted.wait()
            await asyncio.sleep(BETWEEN_LOOKS_S)

    def _say(self, replica: Replica, error: Exception | None) -> None:
        serves = self.serves(replica)
        if serves:
            replica.served_at = time.monotonic()
        if serves and not replica.is_serving:
            logger.info("a replica serves", extra={"replica": replica.name})
        elif replica.is_serving and not serves:
            why = describe(error) if error else "it is no replica any more" if replica.shown is None else "it is behind"
            logger.warning("a replica serves no more", extra={"replica": replica.name, "error": why})
        replica.is_serving = serves

    def _may_serve(self, replica: Replica) -> bool:
        """For any process."""
        return time.monotonic() - replica.served_at < self._max_lag_s + MARGIN_S


async def row(engine: AsyncEngine, statement: str) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(statement))).one()


def _watched(settings: Settings) -> AsyncEngine:
    """An engine of its own: how a server does is to be known while all the others' connections are in use."""
    return make_engine(settings.model_copy(update={"db_pool_size": 1, "debug": False}), read_only=True)
