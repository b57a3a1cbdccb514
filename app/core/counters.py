"""Counters that begin anew with each window: in Redis, which all processes share, or in this one's memory.

When Redis is away, this process counts for itself: more is let through than with Redis, and never everything. Nobody
waits for a dead one: it is asked again every few seconds, by one request.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage
from limits.errors import StorageError

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

logger = logging.getLogger("app.counters")

T = TypeVar("T")
Storage = MemoryStorage | RedisStorage

TIMEOUT_S = 1.0
AWAY_S = 5.0
MAX_CONNECTIONS = 20

MAX_KEYS = 100_000  # about 30 MB
SWEEP_EVERY_S = 60.0


class Count(NamedTuple):
    value: int
    ends_in_s: float


class Counters:
    """A process's counters."""

    def __init__(self, redis_url: str, prefix: str) -> None:
        """Connects at the first use. Raises ModuleNotFoundError when the library that Redis needs is not there."""
        self._memory = Memory()
        self._pool = open_pool(redis_url) if redis_url else None
        self._redis = _storage(redis_url, prefix, self._pool) if self._pool else None
        self._is_away = False
        self._ask_again_at = 0.0

    async def add(self, key: str, window_s: int, amount: int = 1) -> Count:
        """The counter after adding, atomically; its window begins with the first that is added."""

        async def count(storage: Storage) -> Count:
            value = await storage.incr(key, window_s, amount)
            if value == amount:  # the first: no need to ask
                return Count(value, window_s)
            return Count(value, max(await storage.get_expiry(key) - time.time(), 0))

        return await self._ask(count)

    async def take_back(self, key: str, window_s: int) -> None:
        if (await self.add(key, window_s, -1)).value < 0:  # its window ended meanwhile
            await self.clear(key)

    async def clear(self, key: str) -> None:
        await self._ask(lambda storage: storage.clear(key))

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def _ask(self, question: Callable[[Storage], Awaitable[T]]) -> T:
        if self._redis is None or not self._may_ask_redis():
            return await question(self._memory)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await question(self._redis)
        except (StorageError, OSError) as error:
            self._note_away(error)
            return await question(self._memory)
        self._note_back()
        return answer

    def _may_ask_redis(self) -> bool:
        now = time.monotonic()
        if now < self._ask_again_at:
            return False
        if self._is_away:
            self._ask_again_at = now + AWAY_S  # the others do not wait for what this one hears
        return True

    def _note_away(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + AWAY_S
        if not self._is_away:
            logger.warning("Redis is away: this process counts for itself", extra={"error": type(error).__name__})
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            logger.info("Redis is back")
        self._is_away, self._ask_again_at = False, 0.0


class Memory(MemoryStorage):
    """The library's storage looks through all keys at every hit, and keeps as many as come; this one does neither."""

    _sweep_at = 0.0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        await self.get(key)  # which forgets it, when its window is over
        self._make_room()
        self.storage[key] += amount
        if self.storage[key] == amount:
            self.expirations[key] = time.time() + expiry
        return self.storage[key]

    def _make_room(self) -> None:
        now = time.time()
        if now < self._sweep_at and len(self.storage) < MAX_KEYS:
            return
        self._sweep_at = now + SWEEP_EVERY_S
        self._forget([key for key, end in self.expirations.items() if end <= now])
        if len(self.storage) >= MAX_KEYS:
            self._forget(list(islice(self.storage, MAX_KEYS // 10)))  # the oldest

    def _forget(self, keys: list[str]) -> None:
        for key in keys:
            self.storage.pop(key, None)
            self.expirations.pop(key, None)


def open_pool(url: str) -> "BlockingConnectionPool":
    """One short try a command: what to do when it fails is decided here, not in the library."""
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.maint_notifications import MaintNotificationsConfig

    return BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        # With these, a connection that Redis has closed would be used once more (redis-py 8.1, ensure_connection).
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


def _storage(url: str, prefix: str, pool: Any) -> RedisStorage:
    # The driver by its name: the library's own choice is another.
    return RedisStorage(
        f"async+{url}", implementation="redispy", key_prefix=prefix, connection_pool=pool, wrap_exceptions=True
    )
