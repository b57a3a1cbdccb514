"""Migrations at the start of a process: one instance migrates, those that start with it wait."""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core.config import Settings
from app.core.db.errors import describe, is_passing
from app.core.db.session import Database
from app.core.settings.database_url import is_behind_pgbouncer

ROOT = Path(__file__).resolve().parents[3]
VERSIONS = ROOT / "alembic" / "versions"
LOCK_NAME = "groundwork-migrations"
LOCK_ID = 0x67726F756E64  # "ground"; PostgreSQL's locks are numbers, and of one database
LOCK_TIMEOUT_S = 120
RIGHT_MIGRATION = "Right: where there are rows, a new column is nullable or has a server_default"

_REVISION = re.compile(r"^(down_)?revision\b[^=]*= *(.*)$", re.MULTILINE)


class StartupError(Exception):
    """The process cannot start; its text is the one line that says why."""


def heads() -> set[str]:
    """The revisions that nothing follows."""
    revisions, followed = _revisions()
    return revisions - followed


@cache
def _revisions() -> tuple[set[str], set[str]]:
    """All revisions, and those that another follows. Read from the files: importing Alembic takes half a second."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for path in VERSIONS.glob("*.py"):
        for is_parent, value in _REVISION.findall(path.read_text(encoding="utf-8")):
            (followed if is_parent else revisions).update(re.findall(r"[\"']([^\"']+)[\"']", value))
    return revisions, followed


async def current(database: Database) -> set[str]:
    """The revisions that the database says it is at; empty for an empty one."""
    async with database.read_engine.connect() as connection:
        try:
            return set((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars())
        except DBAPIError:
            await connection.rollback()
            await connection.execute(text("SELECT 1"))  # raises when it was the connection, not the table
            return set()


async def is_behind(database: Database) -> bool:
    """Whether migrations wait to be run. They do not after a rollback of the code: the database knows more than it."""
    now = await current(database)
    return now != heads() and now <= _revisions()[0]


async def prepare(settings: Settings, database: Database) -> None:
    """Bring the database to the code's revision before the first request.

    Raises:
        StartupError: it cannot be reached, or not be migrated.
    """
    where = settings.url.render_as_string(hide_password=True)
    folder = Path(settings.url.database or "").parent
    if settings.url.get_backend_name() == "sqlite" and "uri" not in settings.url.query and not folder.is_dir():
        raise StartupError(f"DATABASE_URL: {where} cannot be used: there is no folder {folder}")
    has_answered = False
    try:
        if await is_behind(database):
            has_answered = True
            await asyncio.to_thread(upgrade, settings)
    except (DBAPIError, OSError, TimeoutError, TypeError) as error:  # TypeError: a parameter that the driver has not
        if has_answered and isinstance(error, DBAPIError) and not is_passing(error):
            raise StartupError(f"alembic/versions: a migration fails: {describe(error)}. {RIGHT_MIGRATION}") from error
        raise StartupError(f"DATABASE_URL: {where} cannot be used: {describe(error)}") from error


def upgrade(settings: Settings) -> None:
    """Bring the database to the newest revisions; returns when it is there, whoever did it.

    There are several after a merge with a newer template; nothing says that one waits for the other.

    Runs an event loop of its own: not to be called from one.
    """
    from alembic import command

    command.upgrade(alembic_config(settings), "heads")


def alembic_config(settings: Settings):  # noqa: ANN201 - importing Alembic for its name costs half a second
    from alembic.config import Config

    config = Config(ROOT / "alembic.ini")
    config.attributes["settings"] = settings
    return config


@contextmanager
def migration_lock(connection: Connection, settings: Settings) -> Generator[None]:
    """One migration at a time; the lock goes with its connection. On SQLite, BEGIN IMMEDIATE is the lock.

    Raises:
        StartupError: another process holds it for longer than LOCK_TIMEOUT_S.
    """
    backend = connection.engine.url.get_backend_name()
    if is_behind_pgbouncer(settings.database_url):
        pass  # no session keeps a lock there: `transaction_lock`
    elif backend == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK_ID})
        connection.execute(text("RESET lock_timeout"))
    elif backend == "mysql":
        # MySQL's locks are the whole server's: the database's name makes ours its own.
        name = f"{LOCK_NAME}.{connection.engine.url.database}"[:64]
        if connection.scalar(text("SELECT GET_LOCK(:name, :timeout)"), {"name": name, "timeout": LOCK_TIMEOUT_S}) != 1:
            raise StartupError(f"another process has been migrating for {LOCK_TIMEOUT_S} s")
    # Alembic leaves a transaction that is open already to whoever opened it, and would not commit.
    connection.commit()
    yield


def transaction_lock(connection: Connection, settings: Settings) -> None:
    """The same behind PgBouncer: the migrations' own transaction holds it, and lets it go at its end."""
    if is_behind_pgbouncer(settings.database_url):
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        connection.execute(text("SET LOCAL lock_timeout = 0"))
