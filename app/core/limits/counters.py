"""Counters that begin anew with each window: in Redis, which all processes share, or in this one's memory.

When Redis is away, this process counts for itself: more is let through than with Redis, and never everything.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from app.core.caching.bounded import make_room
from app.core.db.redis import RedisAway, RedisLink

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage

T = TypeVar("T")

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
        shared = None if self._redis is None else await self._ask(lambda redis: _add(redis, key, window_s, amount))
        return shared or self._memory.add(key, window_s, amount)

    async def take_back(self, key: str, window_s: int) -> None:
        if (await self.add(key, window_s, -1)).value < 0:  # its window ended meanwhile
            await self.add(key, window_s)  # to clear it would drop what another request has added since

    async def clear(self, key: str) -> None:
        await self._ask(lambda redis: redis.clear(key))
        self._memory.forget([key])

    async def _ask(self, question: "Callable[[RedisStorage], Awaitable[T]]") -> T | None:
        """None while Redis is away."""
        if self._link is None or (redis := self._redis) is None:
            return None
        try:
            return await self._link.ask(lambda: question(redis))
        except RedisAway:
            return None


async def _add(redis: "RedisStorage", key: str, window_s: int, amount: int) -> Count:
    value = await redis.incr(key, window_s, amount)
    if value == amount:  # the first: no need to ask
        return Count(value, window_s)
    return Count(value, max(await redis.get_expiry(key) - time.time(), 0))


class _Window:
    __slots__ = ("ends_at", "value")

    def __init__(self, ends_at: float) -> None:
        self.value = 0
        self.ends_at = ends_at  # seconds of the monotonic clock


class Memory:
    """Counters of this process. (The library's own looks through all keys at every hit, and keeps as many as come.)"""

    def __init__(self) -> None:
        self.windows: dict[str, _Window] = {}
        self._sweep_at = 0.0

    def add(self, key: str, window_s: int, amount: int) -> Count:
        now = time.monotonic()
        window = self.windows.get(key)
        if window is None or window.ends_at <= now:
            self.windows.pop(key, None)  # it comes after those that are older
            self._make_room(now)
            window = self.windows[key] = _Window(now + window_s)
        window.value += amount
        return Count(window.value, window.ends_at - now)

    def forget(self, keys: list[str]) -> None:
        for key in keys:
            self.windows.pop(key, None)

    def _make_room(self, now: float) -> None:
        if now < self._sweep_at and len(self.windows) < MAX_KEYS:
            return
        self._sweep_at = now + SWEEP_EVERY_S
        self.forget([key for key, window in self.windows.items() if window.ends_at <= now])
        make_room(self.windows, MAX_KEYS)


def _storage(link: RedisLink, prefix: str) -> "RedisStorage":
    from limits.aio.storage import RedisStorage

    # The driver by its name: the library's own choice is another.
    pool: Any = link.pool
    return RedisStorage(f"async+{link.url}", implementation="redispy", key_prefix=prefix, connection_pool=pool)
