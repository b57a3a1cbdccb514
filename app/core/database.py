"""The database: the models' base, and the two kinds of session.

Choosing a session is choosing a database: `DbSession` is a transaction on the primary, `ReadSession` reads.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from sqlalchemy import CursorResult, Delete, MetaData, Update, func, select
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from app.core.cache import Cache
from app.core.changes import Change, watched
from app.core.columns import UTCDateTime
from app.core.config import Settings
from app.core.database_errors import is_lost, is_out_of_time
from app.core.engines import make_engine, make_reads
from app.core.identity_cache import IdentityCache
from app.core.plans import AnySelect, Row
from app.core.quick_reads import Reads
from app.core.redis import RedisLink
from app.core.replica_watch import Replica
from app.core.replicas import Replicas

# The largest value of an INTEGER column on PostgreSQL and MySQL; no row has a larger id.
MAX_INTEGER = 2**31 - 1
MAX_BIG_INTEGER = 2**63 - 1

CLOSE_TIMEOUT_S = 3.0


def can_be_id(value: object, largest: int = MAX_INTEGER) -> bool:
    """Whether a column could hold it: PostgreSQL's driver refuses to ask for an integer that none can."""
    return not isinstance(value, int) or 0 < value <= largest


def utcnow() -> datetime:
    return datetime.now(UTC)


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


class Reader:
    """Reads without a transaction: each call sees what is committed at that moment (READ COMMITTED).

    No BEGIN and ROLLBACK go over the wire, and a connection is held for the length of one call only. A statement that
    is built once for all requests takes what differs as `values`, by the names of its `bindparam`s: it costs less.
    """

    def __init__(self, reads: Reads, cache: Cache) -> None:
        self._reads = reads
        self.cache = cache

    @property
    def primary(self) -> "Reader":
        """For what is to be remembered: a replica may not have yet what was just forgotten."""
        return self

    async def close(self) -> None:
        await self._reads.close()

    async def all(self, statement: AnySelect, /, **values: Any) -> list[Row]:
        """A read whose connection is lost in the middle may be asked again, and is, once."""
        try:
            return await self._reads.rows(statement, values)
        except DBAPIError as error:
            if not is_lost(error):
                raise
        return await self._reads.rows(statement, values)

    async def one(self, statement: AnySelect, /, **values: Any) -> Row | None:
        """The only row, or None. Raises MultipleResultsFound where there are more."""
        rows = await self.all(statement, **values)
        if len(rows) > 1:
            raise MultipleResultsFound
        return rows[0] if rows else None

    async def count(self, statement: AnySelect) -> int:
        """The number of rows that the statement would give."""
        rows = statement.order_by(None).subquery()
        (row,) = await self.all(select(func.count().label("rows")).select_from(rows))
        return row.rows


class ReplicaReader(Reader):
    """The reads of one request: on a replica that shows what its user has written, on the primary when none does."""

    def __init__(self, primary: Reader, replicas: Replicas, request: Request) -> None:
        super().__init__(primary._reads, primary.cache)  # noqa: SLF001 - the same kind
        self._primary = primary
        self._replicas = replicas
        self._request = request
        self._replica: Replica | None = None

    @property
    def primary(self) -> Reader:
        return self._primary

    async def all(self, statement: AnySelect, /, **values: Any) -> list[Row]:
        # Only now: who is asking is not known before the dependencies have run.
        if self._replica is None or not self._replicas.watch.serves(self._replica):
            self._replica = await self._replicas.choose(getattr(self._request.state, "user_id", None))
        if self._replica is not None:
            try:
                async with self._replica.reading():
                    return await self._replica.reads.rows(statement, values)
            except PoolTimeoutError:
                self._replica = None  # it has more to do than it can
            except (DBAPIError, OSError) as error:  # OSError: it does not answer, or lets nobody in
                if isinstance(error, DBAPIError) and is_out_of_time(error):
                    raise  # nor would the primary have the time
                if isinstance(error, OSError) or is_lost(error):
                    self._replicas.watch.note_failure(self._replica, error)
                self._replica = None  # it may have to replay what the read was in the way of, or a migration
        return await super().all(statement, **values)


class Database:
    """The engines of one process; they connect at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.engine = make_engine(settings)
        self.jobs_committed = asyncio.Event()  # what wakes the runner of this process's jobs
        wake: dict[str, Any] = {"jobs_committed": lambda _session: self.jobs_committed.set()}
        self.redis = RedisLink(settings.redis_url) if settings.redis_url else None
        self.cache = Cache(settings, self.redis)
        self.identities = IdentityCache(settings.identity_cache_seconds)
        self.listeners: list[Callable[[set[Change]], None]] = [self.identities.hear, self.cache.hear]
        self.sessions = async_sessionmaker(
            self.engine, expire_on_commit=False, info=wake, sync_session_class=watched(self._hear)
        )
        self.read_engine = make_engine(settings, read_only=True)
        self.read = Reader(make_reads(self.read_engine, settings), self.cache)
        self.replicas = Replicas(settings, self.read_engine) if settings.database_replica_urls else None

    @property
    def engines(self) -> dict[str, AsyncEngine]:
        """All of them, by what each is for."""
        replicas = self.replicas.watch.replicas if self.replicas is not None else []
        numbered = {f"replica-{number}": replica.engine for number, replica in enumerate(replicas, 1)}
        return {"transactions": self.engine, "reads": self.read_engine, **numbered}

    async def _hear(self, changes: set[Change]) -> None:
        for listener in self.listeners:
            listener(changes)
        await self.cache.settle()

    async def close(self) -> None:
        """In bounded time: a server that does not answer says no goodbye either."""
        await self.cache.close()
        for part in (self.redis, self.read, self.replicas):
            if part is not None:
                await _in_time(part.close())
        await _in_time(self.engine.dispose())


async def _in_time(closing: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing


async def rows_changed(db: AsyncSession, statement: Update | Delete) -> int:
    """How many rows an UPDATE or DELETE found: of N that want to use a row up at once one hears 1, the others 0."""
    result = await db.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


@asynccontextmanager
async def transaction(request: Request) -> AsyncGenerator[AsyncSession]:
    """Committed at its end, rolled back when something raises."""
    database: Database = request.app.state.database
    session = database.sessions()
    try:
        yield session
        await session.commit()  # and its connection is given back: there is nothing left to close
    except BaseException:
        async with session:  # which is closed, also when the request is cancelled meanwhile
            raise
    if database.replicas is not None:
        await database.replicas.note_write(getattr(request.state, "user_id", None))


async def get_db(request: Request) -> AsyncSession:
    """The transaction of the request: committed when the endpoint has returned and before the answer is sent.

    The route opens and ends it (app/core/retries.py); a generator's way through FastAPI costs a twentieth of a write.
    """
    if not hasattr(request.state, "transaction"):
        raise RuntimeError("DbSession: no transaction is open. Right: routes of app.core.routing.Router")
    request.state.db = request.state.transaction  # where it is not, the request has not come so far (idempotency.py)
    return request.state.db


async def get_read_db(request: Request) -> Reader:
    database: Database = request.app.state.database
    if database.replicas is None:
        return database.read
    return ReplicaReader(database.read, database.replicas, request)


async def get_primary_read_db(request: Request) -> Reader:
    return request.app.state.database.read


DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]
ReadSession = Annotated[Reader, Depends(get_read_db)]
# For what decides who is signed in and what they may do: no replica is asked, however close it follows.
PrimaryReadSession = Annotated[Reader, Depends(get_primary_read_db)]
