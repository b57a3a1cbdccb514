"""What is measured: a database with users, items and tokens, and a server of each kind on it, one process each."""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import insert, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.auth.models import AuthSession, User
from app.core.config import Settings
from app.core.database import Database
from app.core.db.migrations import upgrade
from app.core.security import create_access_token, hash_password
from app.core.settings.database_url import async_url
from app.examples.models import ExampleItem
from deploy.cluster.processes import descendants
from deploy.cluster.servers import PostgreSQL
from tests import processes
from tests.factories import SECRET

USERS = 100
ITEMS_EACH = 100
PASSWORD = "correct horse battery"  # load.lua sends it
BCRYPT_ROUNDS = 12  # as in production

# Everybody is counted, and nobody refused; none of the servers writes a line for each request.
LIKE_PRODUCTION = {
    "BCRYPT_ROUNDS": str(BCRYPT_ROUNDS),
    "LOG_LEVEL": "WARNING",
    "RATE_LIMIT_ENABLED": "true",
    **dict.fromkeys(("RATE_LIMIT_USER", "RATE_LIMIT_AUTH"), "1000000000/minute"),
    **dict.fromkeys(("LOGIN_LIMIT_ACCOUNT", "LOGIN_LIMIT_ADDRESS"), "1000000000/minute"),
}
UVICORN = ("uvicorn", "--no-access-log", "--log-level", "warning")
CUT_OFF = "ASGI|Traceback|ClientDisconnect"  # what wrk leaves unfinished, a server may log
COMMANDS = {
    "groundwork": ("app", "serve"),
    "plain": (*UVICORN, "benchmarks.plain:app"),
    "floor": (*UVICORN, "benchmarks.floor:app"),
}


async def _create(postgresql: PostgreSQL, name: str) -> None:
    engine = create_async_engine(async_url(postgresql.url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as db:
        await db.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()


def database(postgresql: PostgreSQL, name: str) -> str:
    """The address of a new one on the server."""
    asyncio.run(_create(postgresql, name))
    return make_url(postgresql.url).set(database=name).render_as_string(hide_password=False)


def own_settings(address: str) -> Settings:
    return Settings(database_url=address, secret_key=SECRET, environment="test", access_token_expire_minutes=1440)


async def fill(settings: Settings, items: int = USERS * ITEMS_EACH) -> list[str]:
    """The rows; and the lines of the file that wrk reads: a user's token and one of the user's items."""
    now, hashed, sessions = datetime.now(UTC), hash_password(PASSWORD, BCRYPT_ROUNDS), [uuid4() for _ in range(USERS)]
    stamps = {"created_at": now, "updated_at": now}
    database = Database(settings)
    async with database.sessions.begin() as db:
        for number, session in enumerate(sessions, 1):
            user = {"id": number, "email": email(number), "hashed_password": hashed, "created_at": now}
            await db.execute(insert(User).values(user))
            lives = {"created_at": now, "last_used_at": now, "expires_at": now + timedelta(days=1)}
            await db.execute(insert(AuthSession).values(id=session, user_id=number, **lives))
        for first in range(0, items, 10_000):
            rows = [
                {"user_id": n % USERS + 1, "title": f"Item {n}", **stamps}
                for n in range(first, min(first + 10_000, items))
            ]
            await db.execute(insert(ExampleItem), rows)
    await database.close()
    return [f"{create_access_token(email(n), one, now, settings)} {n}\n" for n, one in enumerate(sessions, 1)]


def email(number: int) -> str:
    return f"user{number}@bench.example"


@contextmanager
def serving(address: str, folder: Path, names: list[str]) -> Generator[dict[str, processes.Server]]:
    """The servers by name."""
    with ExitStack() as stack:
        servers = {}
        for name in names:
            driver = str(own_settings(address).url.render_as_string(hide_password=False))
            url = {"groundwork": address, "plain": driver, "floor": address}[name]
            env = processes.safe(url, **LIKE_PRODUCTION)
            servers[name] = stack.enter_context(processes.server(folder, env, *COMMANDS[name], expected=CUT_OFF))
        yield servers


def migrate(address: str) -> Settings:
    settings = own_settings(address)
    upgrade(settings)
    return settings


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and its descendants: what they share counts once."""
    pids = [pid, *descendants(pid)]
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(text.partition("Pss:")[2].split()[0]) for text in rollups) / 1024
