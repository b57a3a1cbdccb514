"""Reads and transactions: what `ReadSession` and `DbSession` are (app/core/database.py)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from fastapi import Request
from sqlalchemy import CursorResult, Delete, Update, func, select
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.core.config import Settings
from app.core.db.changes import Change, Kind, watched
from app.core.db.engines import make_engine, make_fast_reads
from app.core.db.errors import is_lost
from app.core.db.reads import AnySelect, Row

if TYPE_CHECKING:
    from app.core.db.fast_reads import FastReads

CLOSE_TIMEOUT_S = 3.0


class Reader:
    """Reads without a transaction: each call sees what is committed at that moment (READ COMMITTED).

    No BEGIN and ROLLBACK go over the wire, and a connection is held for one call only. A statement that is built once
    takes what differs between requests as `values`, by the names of its `bindparam`s: it is compiled once.
    """

    def __init__(self, engine: AsyncEngine, fast: "FastReads | None" = None) -> None:
        self.engine = engine
        self.fast = fast
        """Runs statements that are built once, on PostgreSQL; None: SQLAlchemy runs all of them."""

    @property
    def primary(self) -> "Reader":
        """For values that are cached: a replica may not have the newest version yet."""
        return self

    async def all(self, statement: AnySelect, /, **values: Any) -> list[Row]:
        """A read whose connection is lost half-way is repeated, once."""
        try:
            return await self.once(statement, values)
        except DBAPIError as error:
            if not is_lost(error):
                raise
        return await self.once(statement, values)

    async def once(self, statement: AnySelect, values: dict[str, Any]) -> list[Row]:
        """A read that is not repeated when its connection is lost."""
        if values and self.fast is not None and (rows := await self.fast.rows(statement, values)) is not None:
            return rows
        async with self.engine.connect() as connection:
            result = await connection.execute(statement, values or None)
            names = tuple(result.keys())
            return [Row(**dict(zip(names, row, strict=True))) for row in result]

    async def close(self) -> None:
        if self.fast is not None:
            await self.fast.close()
        await self.engine.dispose()

    async def one(self, statement: AnySelect, /, **values: Any) -> Row | None:
        """The only row, or None. Raises MultipleResultsFound where there are more."""
        rows = await self.all(statement, **values)
        if len(rows) > 1:
            raise MultipleResultsFound
        return rows[0] if rows else None

    async def count(self, statement: AnySelect) -> int:
        """The number of rows of the statement."""
        rows = statement.order_by(None).subquery()
        (row,) = await self.all(select(func.count().label("rows")).select_from(rows))
        return row.rows


Subscriber = Callable[[set[Change]], Awaitable[None]]
Concerns = Callable[[Kind, str | None], bool]
Committed = Callable[[int | None], Awaitable[None]]
ReadersOf = Callable[[Request], Reader]


class Database:
    """The engines of one process; they connect at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.engine = make_engine(settings)
        self.read_engine = make_engine(settings, read_only=True)
        self.read = Reader(self.read_engine, make_fast_reads(self.read_engine, settings))
        self.jobs_committed = asyncio.Event()  # wakes the runner of this process's jobs
        wake: dict[str, Any] = {"jobs_committed": lambda _session: self.jobs_committed.set()}
        self.sessions = async_sessionmaker(
            self.engine, expire_on_commit=False, info=wake, sync_session_class=watched(self._publish)
        )
        self._subscribers: list[tuple[Subscriber, Concerns]] = []
        self._concerned: dict[tuple[Kind, str | None], list[Subscriber]] = {}
        self.committed: Committed | None = None
        """Called with the user of a request after its transaction committed, and before its response."""
        self.reader_of: ReadersOf | None = None
        """Chooses the Reader of a request; without one it is `read`."""

    def subscribe(self, subscriber: Subscriber, concerns: Concerns) -> None:
        """Call it with the changes of a transaction, after the commit and before the response. It must not raise.

        `concerns` is asked once for each kind of change to each table.
        """
        self._subscribers.append((subscriber, concerns))

    async def _publish(self, changes: set[Change]) -> None:
        told: dict[Subscriber, set[Change]] = {}
        for change in changes:
            kind = change.kind, change.table
            if kind not in self._concerned:
                self._concerned[kind] = [one for one, concerns in self._subscribers if concerns(*kind)]
            for subscriber in self._concerned[kind]:
                told.setdefault(subscriber, set()).add(change)
        for subscriber, its_changes in told.items():
            await subscriber(its_changes)

    async def close(self) -> None:
        for closing in (self.read.close(), self.engine.dispose()):
            await close_in_time(closing)


async def close_in_time(closing: Awaitable[None]) -> None:
    """A server that does not answer does not confirm the end of a connection either."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing


async def rows_changed(db: AsyncSession, statement: Update | Delete) -> int:
    """The number of rows that an UPDATE or DELETE matched: of N requests that consume one row, one gets 1."""
    result = await db.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


@asynccontextmanager
async def transaction(request: Request) -> AsyncGenerator[AsyncSession]:
    """Committed at its end, rolled back when something raises."""
    database: Database = request.app.state.database
    session = database.sessions()
    try:
        yield session
        await session.commit()  # which returns its connection: nothing is left to close
    except BaseException:
        async with session:  # closes it, also when the request is cancelled at the same time
            raise
    if database.committed is not None:
        await database.committed(getattr(request.state, "user_id", None))


async def get_db(request: Request) -> AsyncSession:
    """The transaction of the request, which its route commits (app/core/routing.py), once the endpoint has returned and
    before the response is sent."""
    try:
        return request.state.db
    except AttributeError:
        raise RuntimeError("DbSession: no transaction is open. Use routes of app.core.routing.Router") from None


async def get_read_db(request: Request) -> Reader:
    database: Database = request.app.state.database
    return database.read if database.reader_of is None else database.reader_of(request)


async def get_primary_read_db(request: Request) -> Reader:
    return request.app.state.database.read
