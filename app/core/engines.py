"""Engines: how a process connects to a database of each kind, and how many connections it keeps."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.config import Settings, SettingsError

SQLITE_BUSY_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 10
POOL_RECYCLE_S = 1800  # sooner than servers and firewalls drop what is idle


def make_engine(settings: Settings, *, read_only: bool = False) -> AsyncEngine:
    backend = settings.url.get_backend_name()
    options: dict[str, Any] = {
        "echo": settings.debug,
        "hide_parameters": True,  # a parameter may be a password's hash
        "pool_size": settings.db_pool_size,
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT_S,
        "pool_recycle": POOL_RECYCLE_S,
        "connect_args": _connect_args(backend, read_only=read_only),
    }
    if read_only:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    elif backend == "mysql":
        options["isolation_level"] = "READ COMMITTED"  # as on PostgreSQL; and no gap locks
    elif backend == "sqlite":
        # SQLite has one writer at a time. Waiting for the pool's one connection is fair and wakes at once;
        # waiting for the file's lock is neither.
        options |= {"pool_size": 1, "pool_timeout": SQLITE_BUSY_TIMEOUT_MS / 1000}
    try:
        engine = create_async_engine(settings.url, **options)
    except ModuleNotFoundError as error:
        extra = {"asyncpg": "postgres", "asyncmy": "mysql"}.get(str(error.name), str(error.name))
        raise SettingsError(
            f"DATABASE_URL: its driver {error.name} is not installed. Right: make setup EXTRAS={extra}"
        ) from None
    if backend == "sqlite":
        _prepare_sqlite(engine, read_only=read_only)
    return engine


def _connect_args(backend: str, *, read_only: bool) -> dict[str, Any]:
    if backend == "postgresql":
        read_only_setting = {"default_transaction_read_only": "on"} if read_only else {}
        return {"timeout": CONNECT_TIMEOUT_S, "server_settings": {"timezone": "UTC", **read_only_setting}}
    if backend == "mysql":
        arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "charset": "utf8mb4"}
        if read_only:
            arguments["init_command"] = "SET SESSION TRANSACTION READ ONLY"
        return arguments
    return {"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000}


def _prepare_sqlite(engine: AsyncEngine, *, read_only: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late and miss DDL; SQLAlchemy sends BEGIN instead (below).
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "checkin")
    def checkin(_connection: Any, record: Any) -> None:
        # After a COMMIT that failed, SQLite's transaction is still open, and its lock would be held for good.
        if record.driver_connection is not None and record.driver_connection.in_transaction:
            record.dbapi_connection.rollback()

    if not read_only:

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            # A writer that starts as a reader can find the file changed and fail at once, without waiting.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
