"""Reads by asyncpg's own fetch, over the connections of SQLAlchemy's pool.

Half of what SQLAlchemy's way costs is in its greenlets, its execution context and its result.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from app.core.database_errors import DatabaseAway
from app.core.places import Places
from app.core.plans import AnySelect, Plan
from app.core.quick_reads import QuickReads, T


class QuickPostgreSQL(QuickReads):
    def __init__(self, engine: AsyncEngine, connections: int, timeout_s: float) -> None:
        super().__init__(engine)
        self._dialect = engine.dialect
        # Who waits here waits for a future; in the pool, for a task in a greenlet.
        self._places = Places(connections, timeout_s)

    async def _fetch(self, plan: Plan, parameters: list[Any]) -> Any:
        await self._wait()
        try:
            connection = await self._connect()
            try:
                return await connection.driver_connection.fetch(plan.sql, *parameters)
            except Exception as error:
                translated = self._translated(connection, plan, error)
                if translated is error:
                    raise
                raise translated from error
            except BaseException:
                # Cancelled: what the server still sends would be taken for the next answer. It is told to stop, and
                # only then is the place free: else more would run there than the pool has connections.
                await greenlet_spawn(connection.invalidate)
                raise
            finally:
                connection.close()
        finally:
            self._places.give_back()

    async def _execute(
        self, statement: AnySelect, values: Mapping[str, Any], take: Callable[[CursorResult[Any]], T]
    ) -> T:
        """It takes a place, too: who waited for one here does not wait again in the pool."""
        await self._wait()
        try:
            return await super()._execute(statement, values, take)
        finally:
            self._places.give_back()

    async def _wait(self) -> None:
        try:
            await self._places.take()
        except TimeoutError:
            raise PoolTimeoutError(f"no connection was free for {self._places.timeout_s} s") from None

    async def _connect(self) -> Any:
        try:
            return await greenlet_spawn(self.engine.sync_engine.pool.connect)
        except self._dialect.loaded_dbapi.Error as error:
            raise self._wrapped(None, error) from error

    def _translated(self, connection: Any, plan: Plan, error: Exception) -> Exception:
        """The error that SQLAlchemy would raise."""
        try:
            connection.dbapi_connection._handle_exception(error)  # noqa: SLF001 - held by a test
        except self._dialect.loaded_dbapi.Error as translated:
            wrapped = self._wrapped(plan.sql, translated, connection.dbapi_connection)
            if wrapped.connection_invalidated:
                # With it go all that are as old: the server has restarted, or another has taken its place.
                self.engine.sync_engine.pool._invalidate(connection, translated)  # noqa: SLF001
            return wrapped
        except Exception:  # noqa: BLE001 - it has no translation
            return DatabaseAway.of(error) if isinstance(error, OSError) else error
        return error

    def _wrapped(self, sql: str | None, error: Any, connection: Any = None) -> DBAPIError:
        wrapped: Any = DBAPIError.instance(
            sql,
            None,
            error,
            self._dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=self._dialect.is_disconnect(error, connection, None),
            dialect=self._dialect,
        )
        return wrapped
