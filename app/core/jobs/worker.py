"""What a process of the Celery worker does: it runs jobs, one after the other, and sweeps when beat says so."""

import asyncio
import logging
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from app.core.config import Settings
from app.core.database import Database
from app.core.jobs.broker import RUN, SWEEP, make_celery, make_sender
from app.core.jobs.execution import execute
from app.core.jobs.outbox import take_one_to_run
from app.core.jobs.relay import Relay
from app.core.jobs.runner import AWAY
from app.core.observability.setup import configure_logging

if TYPE_CHECKING:
    from celery import Celery


class Services(Protocol):
    database: Database

    async def close(self) -> None: ...


class Process:
    """One event loop and one set of engines for each process, made after the fork, at the first message."""

    def __init__(self, settings: Settings, build: Callable[[Settings], Services]) -> None:
        self._settings = settings
        self._build = build

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return asyncio.Runner()

    @cached_property
    def _services(self) -> Services:
        return self._build(self._settings)

    @cached_property
    def _relay(self) -> Relay:
        return Relay(self._services.database, make_sender(self._settings))

    def run_job(self, job_id: int) -> None:
        self._runner.run(self._run_job(job_id))

    def sweep(self) -> None:
        self._runner.run(self._relay.sweep())

    def close(self) -> None:
        self._runner.run(self._services.close())
        self._runner.close()

    async def _run_job(self, job_id: int) -> None:
        database = self._services.database
        row = await take_one_to_run(database, job_id)
        if row is not None:
            await execute(database, self._settings, row)


def make_worker(settings: Settings, build: Callable[[Settings], Services]) -> "Celery":
    """The Celery app with what a worker of it does."""
    from celery.beat import EmbeddedService
    from celery.signals import setup_logging, worker_process_shutdown, worker_ready, worker_shutting_down

    celery = make_celery(settings)
    process = Process(settings, build)
    # In each worker, so that none can be forgotten: several do no harm. In a thread: a process of its own, as --beat
    # has it, would outlive a worker that is killed. Without a file: what a period had run stands in the outbox.
    beat = EmbeddedService(celery, thread=True, scheduler_cls="celery.beat:Scheduler")

    # The database is away, or chose another's transaction: the message is put back for up to a minute.
    @celery.task(name=RUN, autoretry_for=AWAY, max_retries=6, retry_backoff=True)
    def run(job_id: int) -> None:
        process.run_job(job_id)

    @celery.task(name=SWEEP)
    def sweep() -> None:
        process.sweep()

    @setup_logging.connect(weak=False)
    def log_as_the_server_does(**_: Any) -> None:
        configure_logging(settings)
        # A traceback every five seconds while the broker is away; the worker itself says that it is, in a line.
        logging.getLogger("celery.beat").setLevel(logging.CRITICAL)

    @worker_ready.connect(weak=False)
    def start_beat(**_: Any) -> None:
        beat.start()

    @worker_shutting_down.connect(weak=False)
    def stop_beat(**_: Any) -> None:
        beat.service.stop(wait=False)  # it may be waiting for the broker

    @worker_process_shutdown.connect(weak=False)
    def close(**_: Any) -> None:
        process.close()

    return celery
