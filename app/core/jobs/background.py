"""The jobs of a process that serves: run by itself, or handed to the broker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.core.config import Settings
from app.core.database import Database
from app.core.jobs.broker import make_sender
from app.core.jobs.relay import Relay
from app.core.jobs.runner import STOP_TIMEOUT_S, Runner

LOOK_TIMEOUT_S = 5.0  # of a look for jobs that is under way: the database may not answer


@asynccontextmanager
async def running_jobs(database: Database, settings: Settings) -> AsyncGenerator[None]:
    """Raises SettingsError when what CELERY_BROKER_URL needs is not installed."""
    runner = _runner(database, settings)
    running = asyncio.create_task(runner.run(), name="jobs")
    try:
        yield
    finally:
        runner.stop()
        await asyncio.wait({running}, timeout=STOP_TIMEOUT_S + LOOK_TIMEOUT_S)
        if running.done():
            running.result()
        else:
            running.cancel()  # and not awaited: it may not be able to give its connection back


def _runner(database: Database, settings: Settings) -> Runner | Relay:
    return Relay(database, make_sender(settings)) if settings.celery_broker_url else Runner(database, settings)
