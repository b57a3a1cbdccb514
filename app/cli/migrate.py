"""`app migrate`"""

import asyncio

import typer

from app.core.config import Settings, load_settings
from app.core.database import Database
from app.core.migrations import StartupError, current, prepare


def run() -> None:
    settings = load_settings()
    typer.echo(f"The database is at revision {', '.join(sorted(migrated(settings)))}.")


def migrated(settings: Settings) -> set[str]:
    """Migrates, and gives the revisions that the database is at. Ends the process with one line when it cannot."""

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
        raise SystemExit(str(error)) from None
