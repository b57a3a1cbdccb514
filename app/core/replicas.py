"""Which replicas may answer a read: those that are close behind, and show what the reader has written.

Each process looks at the primary and at its replicas all the time. How far a replica is behind is measured on this
machine's clock alone: what the primary had written when it was looked at was written by then, so that a replica which
shows it is behind by no more than that look is old.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.config import Settings, SettingsError
from app.core.database_errors import describe
from app.core.engines import make_engine
from app.core.own_writes import NOTHING, UNKNOWN, OwnWrites
from app.core.positions import COMMITTED, SHOWN, WRITTEN, Position, parse, reached

logger = logging.getLogger("app.replicas")

WATCH_S = 1.0
LOOK_TIMEOUT_S = 2.0
BETWEEN_LOOKS_S = 0.02  # while somebody waits for a replica
MARGIN_S = 2  # how much longer than a replica may lag a note lasts
IN_FLIGHT_S = 5  # how much longer than the database itself a read waits for a replica


class Replica:
    """What this process knows of one."""

    def __init__(self, settings: Settings, address: str) -> None:
        own = settings.model_copy(update={"database_url": address})
        self.name = f"{own.url.host}:{own.url.port or ''}".rstrip(":")
        self.engine = make_engine(own, read_only=True)
        self.watched = _watched(own)
        self.shown: Position | None = None  # None: it is no replica, or does not answer
        self.seen_at = 0.0
        self.served_at = time.monotonic()  # when it was last in the rotation; a new process cannot know
        self.is_serving = False
        self.wanted = asyncio.Event()  # to be looked at now


class Replicas:
    def __init__(self, settings: Settings, primary: AsyncEngine) -> None:
        self._primary = primary
        self._backend = settings.url.get_backend_name()
        self._max_lag_s = settings.replica_max_lag_seconds
        self._own_writes = _open_own_writes(settings)
        self._watched_primary = _watched(settings)
        self._looks: deque[tuple[float, Position]] = deque(maxlen=2 + int(self._max_lag_s / WATCH_S))
        self._replicas = [Replica(settings, address) for address in settings.database_replica_urls]
        timeout_s = settings.db_statement_timeout_seconds
        self.patience_s = timeout_s + IN_FLIGHT_S if timeout_s else None

    async def choose(self, user_id: int | None) -> Replica | None:
        """One of those that serve and show what the user has written; None: the primary."""
        serving = [replica for replica in self._replicas if self.serves(replica)]
        if not serving:
            return None
        wanted = NOTHING if user_id is None else await self._own_writes.find(user_id)
        good = [replica for replica in serving if replica.shown is not None and reached(replica.shown, wanted)]
        return random.choice(good) if good else None  # noqa: S311 - not for a secret

    def serves(self, replica: Replica) -> bool:
        return self._lag_s(replica) <= self._max_lag_s

    def note_failure(self, replica: Replica, error: Exception) -> None:
        """It failed a read: it is out until it has been looked at again."""
        replica.shown = None
        self._say(replica, error)

    async def note_write(self, user_id: int | None) -> None:
        """Called between a commit and its answer. Raises nothing: what is committed is not to be heard as a failure."""
        if user_id is None:
            return
        try:
            position = parse(await _first(self._primary, COMMITTED[self._backend]))
        except (SQLAlchemyError, OSError) as error:
            logger.warning("how far the primary is after a commit is not known", extra={"error": describe(error)})
            position = UNKNOWN
        if not await self._own_writes.note(user_id, position):
            await self._wait_for_all(position)

    async def close(self) -> None:
        await self._own_writes.close()
        await self._watched_primary.dispose()
        for replica in self._replicas:
            await replica.engine.dispose()
            await replica.watched.dispose()

    async def watch(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_primary())
            for replica in self._replicas:
                group.create_task(self._watch(replica))

    async def _watch_primary(self) -> None:
        while True:
            asked_at = time.monotonic()
            with suppress(Exception):  # who cannot be asked says nothing, and in time every replica is too far behind
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    self._looks.append((asked_at, parse(await _first(self._watched_primary, WRITTEN[self._backend]))))
            await asyncio.sleep(WATCH_S)

    async def _watch(self, replica: Replica) -> None:
        while True:
            replica.wanted.clear()
            asked_at, error = time.monotonic(), None
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    is_replica, shown = await _row(replica.watched, SHOWN[self._backend])
                replica.shown = parse(shown or "") if str(is_replica) not in ("0", "OFF") else None
                replica.seen_at = asked_at
            except Exception as failed:  # noqa: BLE001 - this loop has to outlive whatever it is
                replica.shown, error = None, failed
            self._say(replica, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await replica.wanted.wait()
            await asyncio.sleep(BETWEEN_LOOKS_S)

    def _lag_s(self, replica: Replica) -> float:
        """Seconds that it is behind at most; infinite for one that is not known to be a replica."""
        now = time.monotonic()
        if replica.shown is None or now - replica.seen_at > self._max_lag_s:
            return float("inf")
        shown = replica.shown
        return next(
            (now - asked_at for asked_at, written in reversed(self._looks) if reached(shown, written)), float("inf")
        )

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

    async def _wait_for_all(self, position: Position) -> None:
        """Nobody else can be told: until every replica that a process may read from shows it, or is too old for all."""
        until = time.monotonic() + self._max_lag_s + MARGIN_S
        while time.monotonic() < until:
            behind = [replica for replica in self._replicas if self._may_be_read(replica)]
            behind = [replica for replica in behind if replica.shown is None or not reached(replica.shown, position)]
            if not behind:
                return
            for replica in behind:
                replica.wanted.set()
            await asyncio.sleep(BETWEEN_LOOKS_S)

    def _may_be_read(self, replica: Replica) -> bool:
        """By any process: one that was out here for so long is out of every other's rotation too."""
        return time.monotonic() - replica.served_at < self._max_lag_s + MARGIN_S


@asynccontextmanager
async def watching(replicas: Replicas | None) -> AsyncGenerator[None]:
    """Look at the replicas meanwhile, if there are any."""
    if replicas is None:
        yield
        return
    watch = asyncio.create_task(replicas.watch(), name="replicas")
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


def _watched(settings: Settings) -> AsyncEngine:
    """An engine of its own: how a server does is to be known while all the others' connections are in use."""
    return make_engine(settings.model_copy(update={"db_pool_size": 1}), read_only=True)


def _open_own_writes(settings: Settings) -> OwnWrites:
    try:
        return OwnWrites(settings.redis_url, settings.app_name, settings.replica_max_lag_seconds + MARGIN_S)
    except ModuleNotFoundError as error:
        raise SettingsError(f"REDIS_URL: {error.name} is not installed. Right: make setup EXTRAS=redis") from None


async def _row(engine: AsyncEngine, statement: str) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(statement))).one()


async def _first(engine: AsyncEngine, statement: str) -> str:
    return (await _row(engine, statement))[0]
