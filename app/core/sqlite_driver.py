"""aiosqlite for SQLAlchemy, with one trip to the driver's thread for each statement.

SQLAlchemy's adapter makes four: for a cursor, the statement, its rows and the cursor's end. On a busy event loop each
takes milliseconds, and SQLite's only writer keeps the others waiting meanwhile.
"""

import sqlite3
from collections import deque
from contextlib import closing
from typing import Any, NamedTuple

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)


class Done(NamedTuple):
    """What is left of a statement. The driver's own cursor ends in its thread: wherever its last reference goes away it
    resets its statement, and would wait there for whatever that thread is doing meanwhile."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    arraysize: int = 1


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """It has nothing open between two statements: their rows are fetched where they are found."""

    __slots__ = ()

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._cursor: Any = Done()
        self._rows = deque()
        self._soft_closed_memoized: Any = {}

    async def _async_soft_close(self) -> None:
        pass

    def close(self) -> None:
        self._rows.clear()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        await self._run(sqlite3.Cursor.execute, operation, () if parameters is None else parameters)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        await self._run(sqlite3.Cursor.executemany, operation, seq_of_parameters)

    async def _run(self, execute: Any, operation: Any, parameters: Any) -> None:
        driver: Any = self._connection

        def trip() -> tuple[Done, list[Any]]:
            with closing(driver._conn.cursor()) as cursor:
                execute(cursor, operation, parameters)
                rows = cursor.fetchall() if cursor.description else []
                return Done(cursor.description, cursor.rowcount, cursor.lastrowid), rows

        async with self._adapt_connection._execute_mutex:
            self._cursor, rows = await driver._execute(trip)
            self._rows = deque(rows)


class Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = Cursor


class Driver(AsyncAdapt_aiosqlite_dbapi):
    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arg: Any, **kw: Any) -> Connection:
        return Connection(self, super().connect(*arg, **kw)._connection)
