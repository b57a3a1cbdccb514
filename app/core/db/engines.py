"""Engines: how a process connects to a database of each kind, how many connections it keeps, and how long it waits."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.config import Settings, SettingsError
from app.core.db.errors import DatabaseAway
from app.core.db.pgbouncer import driver_options
from app.core.settings.database_url import is_behind_pgbouncer

if TYPE_CHECKING:
    from app.core.db.fast_reads import FastReads

SQLITE_BUSY_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 10
FAST_READS_SHARE = 3  # of the connections for reads, one third is for statements that fast reads leave out
POOL_RECYCLE_S = 1800  # sooner than servers and firewalls drop what is idle

SILENCE_MARGIN_S = 5.0  # longer than a statement may take, a server says nothing: it would have ended it by then
LOCK_SHARE = 3  # of a statement's time that may pass in waiting for another transaction's row is a third
IDLE_TIMEOUT_S = 300  # of a transaction in which nothing happens: whoever began it is gone, and its locks are not


def make_engine(settings: Settings, *, read_only: bool = False) -> AsyncEngine:
    """Raises SettingsError when the database's driver is not installed."""
    backend = settings.url.get_backend_name()
    is_pooled = is_behind_pgbouncer(settings.database_url)
    options: dict[str, Any] = {
        "echo": settings.debug,
        "hide_parameters": True,  # a parameter may be a password's hash
        "pool_size": _size(settings, read_only=read_only),
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT_S,
        "pool_recycle": POOL_RECYCLE_S,
        "connect_args": _connect_args(settings, read_only=read_only),
    }
    if read_only and is_pooled:
        # A statement is parsed and executed in two messages, which only a transaction keeps on one connection.
        options["execution_options"] = {"postgresql_readonly": True}
    elif read_only:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    elif backend == "mysql":
        options["isolation_level"] = "READ COMMITTED"  # as on PostgreSQL; and no gap locks
    elif backend == "sqlite":
        # SQLite has one writer at a time. Waiting for the pool's one connection is fair and wakes at once;
        # waiting for the file's lock is neither.
        options |= {"pool_size": 1, "pool_timeout": SQLITE_BUSY_TIMEOUT_MS / 1000}
    if backend == "sqlite":
        options["pool_reset_on_return"] = None  # an open transaction is rolled back at checkin, below
    elif backend == "mysql":
        options["pool_pre_ping"] = True  # asyncmy does not say whether its connection has ended
    try:
        engine = create_async_engine(settings.url, **options)
    except ModuleNotFoundError as error:
        extra = {"asyncpg": "postgres", "asyncmy": "mysql"}.get(str(error.name), str(error.name))
        raise SettingsError(
            f"DATABASE_URL: its driver {error.name} is not installed. Right: make setup EXTRAS={extra}"
        ) from None
    if backend == "sqlite":
        _prepare_sqlite(engine, read_only=read_only)
    else:
        if backend == "postgresql":
            _replace_closed_connections(engine)
        _raise_database_away(engine)
    return engine


def _size(settings: Settings, *, read_only: bool) -> int:
    shares_with_fast_reads = read_only and has_fast_reads(settings)
    return max(1, settings.pool_size // FAST_READS_SHARE) if shares_with_fast_reads else settings.pool_size


def make_fast_reads(engine: AsyncEngine, settings: Settings) -> "FastReads | None":
    """They share the connections of DB_POOL_SIZE with the engine, which has a third of them (`_size`)."""
    if not has_fast_reads(settings):
        return None
    from app.core.db.fast_reads import FastReads

    _, options = engine.dialect.create_connect_args(engine.url)
    size = max(1, settings.pool_size - settings.pool_size // FAST_READS_SHARE)
    return FastReads(engine.dialect, {**options, **_connect_args(settings, read_only=True)}, size, POOL_TIMEOUT_S)


def has_fast_reads(settings: Settings) -> bool:
    """Not where each statement is to be seen: in development, with DEBUG, and in traces."""
    is_seen = settings.debug or settings.environment == "development" or settings.otel_exporter_otlp_endpoint
    is_postgresql = settings.url.get_backend_name() == "postgresql"
    return settings.fast_reads and is_postgresql and not is_seen and not is_behind_pgbouncer(settings.database_url)


def _connect_args(settings: Settings, *, read_only: bool) -> dict[str, Any]:
    backend = settings.url.get_backend_name()
    statement_s = settings.db_statement_timeout_seconds
    # The server's own limits end nothing when it stands still, or the network does.
    silence_s = statement_s + SILENCE_MARGIN_S if statement_s else None
    if backend == "postgresql":
        session = {"timezone": "UTC", **_postgresql_timeouts(statement_s)}
        limits = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": silence_s}
        if is_behind_pgbouncer(settings.database_url):
            return {**limits, **driver_options(session)}
        guard = {"default_transaction_read_only": "on"} if read_only else {}
        return {**limits, "server_settings": session | guard}
    if backend == "mysql":
        return {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": silence_s,
            "charset": "utf8mb4",
            "init_command": _mysql_session(statement_s, read_only=read_only),
        }
    return {"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000}


def _postgresql_timeouts(statement_s: int) -> dict[str, str]:
    """Milliseconds; nothing without a limit for statements, as migrations have none."""
    if not statement_s:
        return {}
    return {
        "statement_timeout": str(statement_s * 1000),
        "lock_timeout": str(statement_s * 1000 // LOCK_SHARE),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_S * 1000),
    }


def _mysql_session(statement_s: int, *, read_only: bool) -> str | None:
    """One statement, in which MariaDB and MySQL 8 each read what is theirs: MySQL limits nothing but SELECTs."""
    parts = []
    if statement_s:
        parts += [
            f"innodb_lock_wait_timeout = {max(statement_s // LOCK_SHARE, 1)}",
            f"/*M! max_statement_time = {statement_s} *//*!80000 max_execution_time = {statement_s * 1000} */",
        ]
    if read_only:
        parts.append("/*M! tx_read_only = 1 *//*!80000 transaction_read_only = 1 */")
    return f"SET SESSION {', '.join(parts)}" if parts else None


def _replace_closed_connections(engine: AsyncEngine) -> None:
    """asyncpg knows that its connection has ended: what pre-ping would ask the server for."""

    @event.listens_for(engine.sync_engine, "checkout")
    def checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.driver_connection.is_closed():
            raise DisconnectionError


def _raise_database_away(engine: AsyncEngine) -> None:
    """Raise DatabaseAway for the errors of a connection that the driver and SQLAlchemy pass on as they are.

    At connecting, asyncpg raises any OSError (no route, too many open files), and asyncmy a RuntimeError when the
    server closes a connection that uvloop has just opened. In a statement, both raise TimeoutError when the server is
    silent.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except (OSError, RuntimeError) as error:
            raise DatabaseAway.of(error) from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def handle(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, OSError) and not isinstance(error, DatabaseAway):
            raise DatabaseAway.of(error) from error


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

    if not read_only:

        @event.listens_for(engine.sync_engine, "checkin")
        def checkin(_connection: Any, record: Any) -> None:
            # After a COMMIT that failed, SQLite's transaction is still open, and its lock would be held for good.
            if record.driver_connection is not None and record.driver_connection.in_transaction:
                record.dbapi_connection.rollback()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            # A writer that starts as a reader can find the file changed and fail at once, without waiting.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
