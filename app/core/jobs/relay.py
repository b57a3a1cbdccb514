"""The relay: with a broker, it hands jobs over to the Celery workers. Never in a request: the broker may be away."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.core.database import Database
from app.core.jobs.broker import ONE_RETRY, RUN
from app.core.jobs.outbox import note_not_sent, note_sent, take_to_send
from app.core.jobs.runner import log_trouble
from app.core.jobs.schedule import Schedule

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger("app.jobs")

BATCH = 100


class Relay:
    """Sends the ids of due rows, in batches; beside it any number of others may do the same."""

    def __init__(self, database: Database, celery: "Celery") -> None:
        self._database = database
        self._celery = celery
        self._schedule = Schedule(database)
        self._is_stopping = False

    async def run(self) -> None:
        """Hands over what this process commits, until `stop`. What fails is left to the sweep."""
        while not self._is_stopping:
            await self._database.jobs_committed.wait()
            self._database.jobs_committed.clear()
            try:
                await self.hand_over()
            except Exception as error:  # noqa: BLE001 - this loop has to outlive whatever it is
                log_trouble("cannot hand jobs over now", error)

    def stop(self) -> None:
        self._is_stopping = True
        self._database.jobs_committed.set()

    async def sweep(self) -> None:
        """What beat has a worker do: the periods' tasks, and whatever was not handed over, or was and got lost."""
        await self._schedule.enqueue_due()
        await self.hand_over()

    async def hand_over(self) -> None:
        """Sends all that is due, until there is no more or the broker does not take it."""
        while not self._is_stopping and (ids := await take_to_send(self._database, BATCH)):
            sent = await asyncio.to_thread(self._send, ids)
            await note_sent(self._database, ids[:sent])
            await note_not_sent(self._database, ids[sent:])
            if sent < len(ids):
                return

    def _send(self, ids: Sequence[int]) -> int:
        """How many of them the broker took."""
        sent = 0
        try:
            with self._celery.producer_or_acquire() as producer:
                for job_id in ids:
                    self._celery.send_task(RUN, (job_id,), producer=producer, retry=True, retry_policy=ONE_RETRY)
                    sent += 1
        except Exception as error:  # noqa: BLE001 - each transport has its own
            logger.warning("the broker takes no job now", extra={"error": type(error).__name__})
        return sent
