"""Counters that begin anew with each window: in Redis, which all processes share, or in this one's memory.

When Redis is away, this process counts for itself: more is let through than with Redis, and never everything.
"""

import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage

from app.core.redis import RedisAway, RedisLink

T = TypeVar("T")
Storage = MemoryStorage | RedisStorage

MAX_KEYS = 100_000  # about 30 MB
SWEEP_EVERY_S = 60.0


class Count(NamedTuple):
    value: int
    ends_in_s: float


class Counters:
    """A process's counters."""

    def __init__(self, link: RedisLink | None, prefix: str) -> None:
        """Raises ModuleNotFoundError when the library that Redis needs is not there."""
        self._memory = Memory()
        self._link = link
        self._redis = _storage(link, prefix) if link else None

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

    async def _ask(self, question: Callable[[Storage], Awaitable[T]]) -> T:
        if self._link is not None and (redis := self._redis) is not None:
            try:
                return await self._link.ask(lambda: question(redis))
            except RedisAway:
                pass
        return await question(self._memory)


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


def _storage(link: RedisLink, prefix: str) -> RedisStorage:
    # The driver by its name: the library's own choice is another.
    pool: Any = link.pool
    return RedisStorage(f"async+{link.url}", implementation="redispy", key_prefix=prefix, connection_pool=pool)
