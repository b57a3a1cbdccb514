"""Reads of SQLite on the event loop: the way to a thread and back costs more than the read."""

import sqlite3
import time
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.plans import Plan
from app.core.quick_reads import QuickReads

MAX_STEPS = 20_000  # of SQLite's virtual machine: half a millisecond; a page of 100 rows takes 2,000


class QuickSQLite(QuickReads):
    """Readers do not wait for the writer (WAL), and this one waits for nothing.

    A read that would keep the loop is given up after MAX_STEPS and left to a thread, as is whatever fails.
    """

    def __init__(self, engine: AsyncEngine, recycle_s: float) -> None:
        super().__init__(engine)
        self._recycle_s = recycle_s
        self._connection: sqlite3.Connection | None = None
        self._renew_at = 0.0  # seconds of the monotonic clock

    async def _fetch(self, plan: Plan, parameters: list[Any]) -> Any:
        try:
            if self._connection is None or time.monotonic() >= self._renew_at:
                self._connection = self._connect()
            return self._connection.execute(plan.sql, parameters).fetchall()
        except sqlite3.Error:
            return None

    def _connect(self) -> sqlite3.Connection:
        """Anew every now and then, as the pool does: the file may be another by now."""
        self._disconnect()
        self._renew_at = time.monotonic() + self._recycle_s
        (path,), options = self.engine.dialect.create_connect_args(self.engine.url)
        own: Any = {"timeout": 0, "isolation_level": None, "check_same_thread": False}
        connection = sqlite3.connect(path, **{**options, **own})
        connection.execute("PRAGMA query_only=ON")
        connection.set_progress_handler(lambda: True, MAX_STEPS)
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        self._disconnect()
        await super().close()
