"""`app migrate`"""

import asyncio

from app.cli.report import Fault, say
from app.core.config import Settings, load_settings
from app.core.database import Database
from app.core.migrations import StartupError, current, prepare


def run(as_json: bool) -> None:
    revisions = sorted(migrated(load_settings()))
    say(as_json, f"The database is at revision {', '.join(revisions)}.", revisions=revisions)


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
