"""`app migrate`"""

import asyncio

from app.cli.report import Fault, say
from app.core.config import Settings
from app.core.database import Database
from app.core.db.migrations import StartupError, current, prepare
from app.core.environment import load_settings


def run(as_json: bool) -> None:
    revisions = sorted(migrated(command_settings(as_json)))
    say(as_json, f"The database is at revision {', '.join(revisions)}.", revisions=revisions)


def command_settings(as_json: bool) -> Settings:
    """The settings, without DEBUG's statements on standard output where one document is wanted there."""
    settings = load_settings()
    return settings.model_copy(update={"debug": False}) if as_json else settings


def migrated(settings: Settings) -> set[str]:
    """Migrates, and gives the revisions that the database is at. Raises Fault when it cannot."""

    async def migrate() -> set[str]:
        database = Database(settings)
        try:
            await prepare(settings, database)
            return await current(database)
        finally:
            await database.close()

    try:
        return asyncio.run(migrate())
    except StartupError as error:
        raise Fault("database", str(error), exit_code=1) from None
