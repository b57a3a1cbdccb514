"""Reads on PostgreSQL through asyncpg's own pool.

SQLAlchemy's public compiler writes the SQL and converts values and rows; its execution, which is half of the cost of a
small read, is left out. Only statements that are built once and take their values as `bindparam`s come this way.
FAST_READS=false turns it off: results and errors are the same.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import Float
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.core.db.errors import DatabaseAway
from app.core.db.reads import AnySelect, Row

Convert = Callable[[Any], Any] | None

# SQLSTATE classes of a connection that has ended: connection exception, server shutdown or an operator's intervention.
LOST = ("08", "57P")
DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
CLIENT_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError)

# What PostgreSQL calls the types of numbers: their processors ask what the driver gives.
FLOAT8, NUMERIC = 701, 1700


class CompiledQuery:
    """A statement in the driver's form: its SQL, and how its values and rows are converted."""

    def __init__(self, statement: AnySelect, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = compiled.string
        # The text of an IN depends on how many values it has.
        self.is_fixed = not (compiled.post_compile_params or compiled.literal_execute_params)
        self._constants = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        self._binds = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        columns = statement.selected_columns
        self._names = tuple(columns.keys())
        converts = [_result_processor(column.type, dialect) for column in columns]
        self._converts = [(index, convert) for index, convert in enumerate(converts) if convert is not None]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """In the statement's order. Raises KeyError when one is missing."""
        found = {**self._constants, **values}
        return [found[name] if convert is None else convert(found[name]) for name, convert in self._binds]

    def rows(self, records: Iterable[Iterable[Any]]) -> list[Row]:
        names = self._names
        if not self._converts:
            return [Row(**dict(zip(names, record, strict=True))) for record in records]
        rows = []
        for record in records:
            values = list(record)
            for index, convert in self._converts:
                values[index] = convert(values[index])
            rows.append(Row(**dict(zip(names, values, strict=True))))
        return rows


def _result_processor(kind: TypeEngine[Any], dialect: Dialect) -> Convert:
    stored = kind.dialect_impl(dialect)
    of_number = stored.impl_instance if isinstance(stored, TypeDecorator) else stored
    return stored.result_processor(dialect, FLOAT8 if isinstance(of_number, Float) else NUMERIC)


class FastReads:
    def __init__(self, dialect: Dialect, options: dict[str, Any], size: int, timeout_s: float) -> None:
        """`options` are asyncpg.connect()'s; a read waits at most `timeout_s` for one of `size` connections."""
        self._dialect = dialect
        self._options = options
        self._size = size
        self._timeout_s = timeout_s
        self._pool: asyncpg.Pool | None = None
        self._queries: WeakKeyDictionary[AnySelect, CompiledQuery] = WeakKeyDictionary()

    async def rows(self, statement: AnySelect, values: Mapping[str, Any]) -> list[Row] | None:
        """None where SQLAlchemy has to run the statement: to expand an IN, or to raise what is wrong with a value.

        Raises:
            DBAPIError: as SQLAlchemy does.
            PoolTimeoutError: no connection is free.
            DatabaseAway: the server cannot be connected to, or does not answer.
        """
        query = self._queries.get(statement)
        if query is None:
            query = self._queries[statement] = CompiledQuery(statement, self._dialect)
        if not query.is_fixed:
            return None
        try:
            parameters = query.parameters(values)
        except Exception:  # noqa: BLE001 - a value is missing, or not of its type
            return None
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                min_size=0, max_size=self._size, init=_read_json, reset=_keep, **self._options
            )
        try:
            connection = await self._pool.acquire(timeout=self._timeout_s)
        except TimeoutError as error:
            raise PoolTimeoutError(f"no connection within {self._timeout_s} s") from error
        except DRIVER_ERRORS as error:
            raise _wrapped(query.sql, error) from error
        try:
            return query.rows(await connection.fetch(query.sql, *parameters))
        except DRIVER_ERRORS as error:
            raise _wrapped(query.sql, error) from error
        except asyncpg.InternalClientError as error:  # the server has said that it ends this connection, and not yet
            connection.terminate()
            raise _wrapped(query.sql, error) from error
        finally:
            await self._pool.release(connection)

    @property
    def in_use(self) -> tuple[int, int]:
        """Connections in use, and how many there may be."""
        return (self._pool.get_size() - self._pool.get_idle_size() if self._pool else 0), self._size

    async def close(self) -> None:
        if self._pool is not None:
            self._pool, pool = None, self._pool
            await pool.close()


async def _read_json(connection: asyncpg.Connection) -> None:
    """As SQLAlchemy's connections do: its types leave JSON to them."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=json.loads)


async def _keep(_connection: asyncpg.Connection) -> None:
    """A read leaves nothing in its session that the next could find."""


def _wrapped(sql: str, error: Exception) -> DatabaseAway | DBAPIError:
    if isinstance(error, OSError):  # TimeoutError too: the server is silent
        return DatabaseAway.of(error)
    state = getattr(error, "sqlstate", None) or ""
    is_lost = isinstance(error, CLIENT_ERRORS) or state.startswith(LOST)
    return DBAPIError(sql, None, error, hide_parameters=True, connection_invalidated=is_lost)
