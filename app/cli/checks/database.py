"""Database: it answers, or is a file that is not made yet."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from app.cli.checks import Check, Finding
from app.cli.checks.settings import address, quiet_settings
from app.core.config import Settings, SettingsError
from app.core.database import Database
from app.core.db.errors import describe
from app.core.db.migrations import current

Answer = TypeVar("Answer")


def check() -> Check:
    settings = quiet_settings()
    file = missing_file(settings)
    if file is not None and file.parent.is_dir():
        return Check("not made yet: app migrate makes it")
    if file is not None:
        return Check("", [Finding(f"DATABASE_URL: there is no folder {file.parent}", f"mkdir -p {file.parent}")])
    try:
        ask(settings, current)
    except SettingsError as error:  # its driver is not installed
        message, _, right = str(error).partition(" Right: ")
        return Check("", [Finding(message, right)])
    except Exception as error:  # noqa: BLE001 - whatever the driver raises: it cannot be used
        message = f"DATABASE_URL: {address(settings)} cannot be used: {describe(error)}"
        return Check("", [Finding(message, "correct DATABASE_URL in .env or the environment, or start its server")])
    return Check("it answers")


def missing_file(settings: Settings) -> Path | None:
    """SQLite's file when it is not there: to connect would make it."""
    if settings.url.get_backend_name() != "sqlite":
        return None
    file = Path((settings.url.database or "").removeprefix("file:").partition("?")[0])
    return None if file.exists() else file


def ask(settings: Settings, question: Callable[[Database], Awaitable[Answer]]) -> Answer:
    async def answer() -> Answer:
        database = Database(settings)
        try:
            return await question(database)
        finally:
            await database.close()

    return asyncio.run(answer())
