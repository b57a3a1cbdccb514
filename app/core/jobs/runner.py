"""The embedded runner: without a broker, the process that serves also runs the jobs."""

import asyncio
import logging
import random

from sqlalchemy.exc import DBAPIError

from app.core.config import Settings
from app.core.database import Database
from app.core.db.errors import describe
from app.core.jobs.execution import execute
from app.core.jobs.outbox import OutboxJob, seconds_to_next, take_to_run
from app.core.jobs.schedule import Schedule

logger = logging.getLogger("app.jobs")

CONCURRENCY = 4  # each may hold one of the DB_POOL_SIZE connections of the requests
POLL_S = 5.0  # how late what another process left, a retry or a period may be noticed
FIRST_LOOK_S = 1.0  # the first requests of a process come before what others left
LOCKED_POLL_S = 0.05  # what is due is being taken by another process
STOP_TIMEOUT_S = 20.0

AWAY = (DBAPIError, OSError, TimeoutError)


def log_trouble(message: str, error: Exception) -> None:
    """A line when the database is away, which passes; the whole of it when it is a fault of ours."""
    is_away = isinstance(error, AWAY)
    logger.log(
        logging.WARNING if is_away else logging.ERROR,
        message,
        extra={"error": describe(error)},
        exc_info=None if is_away else error,
    )


class Runner:
    """Runs what is due: at once when this process committed it, else within POLL_S. Any number may run side by side."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._schedule = Schedule(database)
        self._running: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    async def run(self) -> None:
        """Runs until `stop`; what runs then may end within STOP_TIMEOUT_S, and the rest is given back."""
        await self._wait(FIRST_LOOK_S)
        while not self._is_stopping:
            self._database.jobs_committed.clear()
            wait_s = await self._start_due()
            if wait_s and not self._is_stopping:
                await self._wait(wait_s)
        await self._end()

    def stop(self) -> None:
        """To cancel `run` instead could leave a statement half done, and SQLite's file locked."""
        self._is_stopping = True
        self._database.jobs_committed.set()

    async def _start_due(self) -> float:
        """Start what there is room for; answers how many seconds nothing more is to be done."""
        room = CONCURRENCY - len(self._running)
        if not room:
            return POLL_S
        try:
            await self._schedule.enqueue_due()
            wait_s = await seconds_to_next(self._database)
            rows = await take_to_run(self._database, room) if wait_s == 0 else []
        except Exception as error:  # noqa: BLE001 - this loop has to outlive whatever it is
            log_trouble("cannot look for jobs now", error)
            return POLL_S
        for row in rows:
            self._start(row)
        if wait_s == 0:
            return 0 if rows else LOCKED_POLL_S
        return POLL_S if wait_s is None else min(wait_s, POLL_S)

    def _start(self, row: OutboxJob) -> None:
        running = asyncio.create_task(self._execute(row), name=f"job {row.id}")
        self._running.add(running)
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._database.jobs_committed.set()  # there is room again

    async def _execute(self, row: OutboxJob) -> None:
        try:
            await execute(self._database, self._settings, row)
        except Exception as error:  # noqa: BLE001 - it runs again when its lease is over
            log_trouble(f"the outcome of job {row.id} cannot be noted now", error)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * random.uniform(1, 1.2)):  # noqa: S311 - not all processes at once
                await self._database.jobs_committed.wait()
        except TimeoutError:
            pass

    async def _end(self) -> None:
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=STOP_TIMEOUT_S)
            for running in late:
                running.cancel()
            await asyncio.gather(*late, return_exceptions=True)
