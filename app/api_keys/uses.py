"""When keys were last used: remembered by the process and written once a minute, so that no request waits for it.

A process that is killed forgets the last minute; `last_used_at` is for people, and nothing is decided by it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from sqlalchemy import bindparam, or_, update

from app.api_keys.models import ApiKey
from app.core.columns import UTCDateTime
from app.core.database import Database, utcnow
from app.core.jobs.runner import log_trouble

WRITE_EVERY_S = 60.0
WRITE_TIMEOUT_S = 10.0
MAX_REMEMBERED = 10_000  # uses of more keys in one minute are not remembered: two megabytes at most
BATCH = 500  # a transaction each: SQLite has one writer


class KeyUses:
    """The last use of each key that this process has not written yet."""

    def __init__(self) -> None:
        self._latest: dict[int, datetime] = {}

    def note(self, key_id: int) -> None:
        if key_id in self._latest or len(self._latest) < MAX_REMEMBERED:
            self._latest[key_id] = utcnow()

    async def write(self, database: Database) -> None:
        """What cannot be written now stays, for the next time."""
        uses = sorted(self._latest.items())  # in one order, so that processes that write at once do not deadlock
        for start in range(0, len(uses), BATCH):
            batch = uses[start : start + BATCH]
            async with database.sessions.begin() as db:
                values = [{"key_id": key_id, "used_at": used_at} for key_id, used_at in batch]
                # On the connection: that a key was used forgets nobody who is signed in (app/core/db/changes.py).
                await (await db.connection()).execute(_LATER, values)
            for key_id, used_at in batch:
                if self._latest[key_id] == used_at:
                    del self._latest[key_id]

    def __len__(self) -> int:
        return len(self._latest)


_USED_AT = bindparam("used_at", type_=UTCDateTime())
_LATER = (
    update(ApiKey.__table__)  # ty: ignore[invalid-argument-type]
    .where(ApiKey.id == bindparam("key_id"), or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < _USED_AT))
    .values(last_used_at=_USED_AT)
)


@asynccontextmanager
async def writing_uses(uses: KeyUses, database: Database, every_s: float = WRITE_EVERY_S) -> AsyncGenerator[None]:
    """Write them regularly, and for the last time at the end."""
    stopping = asyncio.Event()
    writing = asyncio.create_task(_write_until(stopping, uses, database, every_s), name="uses of API keys")
    try:
        yield
    finally:
        stopping.set()
        await writing


async def _write_until(stopping: asyncio.Event, uses: KeyUses, database: Database, every_s: float) -> None:
    is_last = False
    while not is_last:
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                is_last = await stopping.wait()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await uses.write(database)
        except Exception as error:  # noqa: BLE001 - this loop has to outlive whatever it is
            log_trouble("the uses of API keys cannot be written now", error)
