"""The database: the models' base, the engines, and the two kinds of session.

Choosing a session is choosing a database: `DbSession` is a transaction on the primary, `ReadSession` reads.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from sqlalchemy import CursorResult, Delete, MetaData, Select, Update, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.core.columns import UTCDateTime
from app.core.config import Settings, SettingsError

# The largest value of an INTEGER column on PostgreSQL and MySQL; no row has a larger id.
MAX_INTEGER = 2**31 - 1
MAX_BIG_INTEGER = 2**63 - 1

SQLITE_BUSY_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 10
POOL_RECYCLE_S = 1800  # sooner than servers and firewalls drop what is idle


def can_be_id(value: object, largest: int = MAX_INTEGER) -> bool:
    """Whether a column could hold it: PostgreSQL's driver refuses to ask for an integer that none can."""
    return not isinstance(value, int) or 0 < value <= largest


def utcnow() -> datetime:
    return datetime.now(UTC)


AnySelect = Select[*tuple[Any, ...]]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "idx_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime()}
    __table_args__: Any = {"sqlite_autoincrement": True}  # an id is never given out twice


class Row(SimpleNamespace):
    """What a `ReadSession` gives: a row's columns as attributes, for reading only."""


class Reader:
    """Reads without a transaction: each call sees what is committed at that moment (READ COMMITTED).

    No BEGIN and ROLLBACK go over the wire, and a connection is held for the length of one call only.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self, statement: AnySelect) -> list[Row]:
        async with self._engine.connect() as connection:
            result = await connection.execute(statement)
            names = list(result.keys())
            return [Row(**dict(zip(names, row, strict=True))) for row in result]

    async def one(self, statement: AnySelect) -> Row | None:
        """The only row, or None. Raises MultipleResultsFound where there are more."""
        async with self._engine.connect() as connection:
            result = await connection.execute(statement)
            row = result.mappings().one_or_none()
            return None if row is None else Row(**row)

    async def count(self, statement: AnySelect) -> int:
        """The number of rows that the statement would give."""
        async with self._engine.connect() as connection:
            rows = statement.order_by(None).subquery()
            return (await connection.execute(select(func.count()).select_from(rows))).scalar_one()


class Database:
    """The engines of one process; they connect at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.engine = _engine(settings)
        self.jobs_committed = asyncio.Event()  # what wakes the runner of this process's jobs
        wake: dict[str, Any] = {"jobs_committed": lambda _session: self.jobs_committed.set()}
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False, info=wake)
        self.read_engine = _engine(settings, read_only=True)
        self.read = Reader(self.read_engine)

    async def close(self) -> None:
        await self.engine.dispose()
        await self.read_engine.dispose()


def _engine(settings: Settings, *, read_only: bool = False) -> AsyncEngine:
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


async def rows_changed(db: AsyncSession, statement: Update | Delete) -> int:
    """How many rows an UPDATE or DELETE found: of N that want to use a row up at once one hears 1, the others 0."""
    result = await db.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    """A transaction: committed when the endpoint returns and before the answer is sent, rolled back when it raises."""
    async with request.app.state.database.sessions() as session:
        request.state.db = session
        yield session
        await session.commit()


async def get_read_db(request: Request) -> Reader:
    return request.app.state.database.read


DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]
ReadSession = Annotated[Reader, Depends(get_read_db)]
