"""The databases that the suite runs on, and empty ones to fill."""

import os
import shutil
import sqlite3
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.settings.database_url import async_url
from deploy.cluster import servers
from deploy.cluster.pgbouncer import PgBouncer
from deploy.cluster.prometheus import Prometheus

SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}
BACKENDS = ["sqlite", *(name for name, variable in SERVERS.items() if os.environ.get(variable))]

SQLITE_IN_MEMORY = "sqlite:///file:/groundwork-tests?vfs=memdb&uri=true"


def not_tested() -> list[str]:
    missing = [f"{name} ({variable} is not set)" for name, variable in SERVERS.items() if name not in BACKENDS]
    kinds = (
        servers.MariaDB,
        servers.Nginx,
        PgBouncer,
        servers.PostgreSQL,
        Prometheus,
        servers.RabbitMQ,
        servers.Redis,
    )
    missing += [f"what starts {kind.__name__} (not installed)" for kind in kinds if not kind.find()]
    return missing if shutil.which("npm") else [*missing, "the TypeScript client (npm is not installed)"]


@asynccontextmanager
async def shared_database(backend: str) -> AsyncGenerator[str]:
    """The address of one empty database for the whole run."""
    if backend == "sqlite":
        # It lives in memory as long as somebody is connected to it.
        connection = sqlite3.connect(SQLITE_IN_MEMORY.removeprefix("sqlite:///"), uri=True)
        yield SQLITE_IN_MEMORY
        connection.close()
    else:
        async with _on_server(backend) as address:
            yield address


@asynccontextmanager
async def empty_database(backend: str, folder: Path) -> AsyncGenerator[str]:
    """The address of an empty database that other processes can reach too."""
    if backend == "sqlite":
        yield f"sqlite:///{folder / f'{uuid.uuid4().hex}.db'}"
    else:
        async with _on_server(backend) as address:
            yield address


@asynccontextmanager
async def _on_server(backend: str) -> AsyncGenerator[str]:
    address = make_url(os.environ[SERVERS[backend]])
    name = f"groundwork_test_{uuid.uuid4().hex[:12]}"
    await _execute(address.render_as_string(hide_password=False), f"CREATE DATABASE {name}")
    try:
        yield address.set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if backend == "postgresql" else ""
        await _execute(address.render_as_string(hide_password=False), f"DROP DATABASE {name}{force}")


async def _execute(address: str, statement: str) -> None:
    engine = create_async_engine(async_url(address), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
