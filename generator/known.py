"""What the configured database has, for as far as it can be asked."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from app.core.config import Settings
from app.core.database import Database
from app.core.db.migrations import current


@dataclass(frozen=True)
class Known:
    tables: set[str] = field(default_factory=set)
    revisions: set[str] = field(default_factory=set)


def ask_database() -> Known | None:
    """Its tables and revisions; None when it cannot be reached. Never makes one that is not there."""
    try:
        settings = Settings().model_copy(update={"debug": False})  # its statements go to standard output
    except (ValidationError, SourceError):
        return None
    is_sqlite = settings.url.get_backend_name() == "sqlite"
    if is_sqlite and not Path(settings.url.database or "").exists():
        return Known()
    try:
        return asyncio.run(_ask(settings))
    except (DBAPIError, OSError, TimeoutError, SystemExit):  # SystemExit: its driver is not installed
        return None


async def _ask(settings: Settings) -> Known:
    database = Database(settings)
    try:
        async with database.read_engine.connect() as connection:
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        return Known(set(tables), await current(database))
    finally:
        await database.close()
