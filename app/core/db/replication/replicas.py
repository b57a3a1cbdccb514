"""Which replica answers a read: one that is close behind, and shows what the reader has written."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import Request
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.config import Settings
from app.core.db.errors import describe, is_lost, is_out_of_time
from app.core.db.reads import AnySelect, Row
from app.core.db.replication.own_writes import NOTHING, UNKNOWN, OwnWrites
from app.core.db.replication.positions import COMMITTED, parse
from app.core.db.replication.watch import MARGIN_S, Replica, Watch, row
from app.core.db.session import Database, Reader

logger = logging.getLogger("app.replicas")


class Replicas:
    def __init__(self, settings: Settings, database: Database) -> None:
        self.watch = Watch(settings)
        self._database = database
        self._primary: AsyncEngine = database.read_engine
        self._backend = settings.url.get_backend_name()
        self._own_writes = OwnWrites(settings.redis_url, settings.app_name, settings.replica_max_lag_seconds + MARGIN_S)

    def reader_of(self, request: Request) -> Reader:
        return ReplicaReader(self._database.read, self, request)

    async def choose(self, user_id: int | None) -> Replica | None:
        """One of those that serve and show what the user has written; None: the primary."""
        serving = [replica for replica in self.watch.replicas if self.watch.serves(replica)]
        if not serving:
            return None
        wanted = NOTHING if user_id is None else await self._own_writes.find(user_id)
        good = [replica for replica in serving if replica.shows(wanted)]
        return random.choice(good) if good else None  # noqa: S311 - no secret

    async def note_write(self, user_id: int | None) -> None:
        """Called between a commit and its answer. Raises nothing: what is committed is not to be heard as a failure."""
        if user_id is None:
            return
        try:
            position = parse((await row(self._primary, COMMITTED[self._backend]))[0])
        except (SQLAlchemyError, OSError, ValueError) as error:
            logger.warning("how far the primary is after a commit is not known", extra={"error": describe(error)})
            position = UNKNOWN
        if not await self._own_writes.note(user_id, position):
            await self.watch.wait_for_all(position)  # nobody else can be told

    async def close(self) -> None:
        await self._own_writes.close()
        await self.watch.close()


class ReplicaReader(Reader):
    """The reads of one request: on a replica that shows what its user has written, on the primary when none does."""

    def __init__(self, primary: Reader, replicas: Replicas, request: Request) -> None:
        super().__init__(primary.engine, primary.fast)
        self._primary = primary
        self._replicas = replicas
        self._request = request
        self._replica: Replica | None = None

    @property
    def primary(self) -> Reader:
        return self._primary

    async def all(self, statement: AnySelect, /, **values: Any) -> list[Row]:
        # Only now: the user is not known before the dependencies have run.
        if self._replica is None or not self._replicas.watch.serves(self._replica):
            self._replica = await self._replicas.choose(getattr(self._request.state, "user_id", None))
        if self._replica is not None:
            try:
                async with self._replica.reading():
                    return await self._replica.reader.once(statement, values)
            except PoolTimeoutError:
                self._replica = None  # it has no free connection
            except (DBAPIError, OSError) as error:  # OSError: it cannot be connected to
                if isinstance(error, DBAPIError) and is_out_of_time(error):
                    raise  # the primary would need as long
                if isinstance(error, OSError) or is_lost(error):
                    self._replicas.watch.note_failure(self._replica, error)
                self._replica = None  # the read may conflict with what it replays, or with a migration
        return await super().all(statement, **values)


@asynccontextmanager
async def watching(replicas: Replicas | None) -> AsyncGenerator[None]:
    """Look at the replicas meanwhile, if there are any."""
    if replicas is None:
        yield
        return
    watch = asyncio.create_task(replicas.watch.run(), name="replicas")
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
