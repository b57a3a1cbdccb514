"""Redis, as a process uses it: one pool of connections, and whether it is away.

Nobody waits for a dead one: it is asked again every few seconds, by one caller.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool, Redis

logger = logging.getLogger("app.redis")

T = TypeVar("T")

TICK_S = 0.1
TIMEOUT_TICKS = 10  # one second of an event loop that runs
AWAY_S = 5.0
MAX_CONNECTIONS = 20
UVLOOP_CLOSED = "the handler is closed"  # uvloop's RuntimeError for a write to a closed transport


class RedisAway(Exception):
    """It does not answer, or did not a moment ago; its caller does without."""


class RedisLink:
    """A process's way to Redis; it connects at the first use."""

    def __init__(self, url: str, connected: Callable[[Any], Awaitable[None]] | None = None) -> None:
        """`connected` is called with each new connection, in place of what the library does then."""
        self.url = url
        self._connected = connected
        self._is_away = False
        self._ask_again_at = 0.0

    @cached_property
    def pool(self) -> "BlockingConnectionPool":
        """One try a command, without a timeout of the library's: `ask` has the only one.

        Raises:
            ModuleNotFoundError: the library is not installed.
            ValueError: the URL is not one.
        """
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig

        return BlockingConnectionPool.from_url(
            self.url,
            max_connections=MAX_CONNECTIONS,
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._connected,
            # With these, a connection that Redis has closed would be used once more (redis-py 8.1, ensure_connection).
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )

    @cached_property
    def client(self) -> "Redis":
        from redis.asyncio import Redis

        return Redis(connection_pool=self.pool)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to what the question asks of Redis.

        Raises:
            RedisAway: there is none in time, or Redis was away a moment ago.
        """
        from redis.exceptions import RedisError

        if not self._may_ask():
            raise RedisAway
        try:
            answer = await _in_time(question)
        except (RedisError, OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and UVLOOP_CLOSED not in str(error):
                raise
            self._note_away(error)
            raise RedisAway from error
        self._note_back()
        return answer

    async def close(self) -> None:
        if "pool" in vars(self):
            await self.pool.aclose()

    def _may_ask(self) -> bool:
        now = time.monotonic()
        if now < self._ask_again_at:
            return False
        if self._is_away:
            self._ask_again_at = now + AWAY_S  # the others do not wait for what this one hears
        return True

    def _note_away(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + AWAY_S
        if not self._is_away:
            logger.warning("Redis is away: this process does without", extra={"error": type(error).__name__})
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            logger.info("Redis is back")
        self._is_away, self._ask_again_at = False, 0.0


async def _in_time(question: Callable[[], Awaitable[T]]) -> T:
    """The answer. Raises TimeoutError when there is none within TIMEOUT_TICKS.

    The ticks are those of the event loop: a loop that is blocked for seconds loses one of them. A deadline would pass
    in that time, and an answer that has arrived meanwhile would count as a Redis that is away.
    """
    loop = asyncio.get_running_loop()
    left = TIMEOUT_TICKS

    def tick() -> None:
        nonlocal left, timer
        left -= 1
        if left:
            timer = loop.call_later(TICK_S, tick)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(TICK_S, tick)
        try:
            return await question()
        finally:
            timer.cancel()
