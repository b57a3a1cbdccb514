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

TIMEOUT_S = 1.0
AWAY_S = 5.0
MAX_CONNECTIONS = 20


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
        """One short try a command: what to do when it fails is decided here, not in the library.

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
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
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
            RedisAway: there is none within TIMEOUT_S, or Redis was away a moment ago.
        """
        from redis.exceptions import RedisError

        if not self._may_ask():
            raise RedisAway
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await question()
        except (RedisError, OSError, RuntimeError) as error:  # RuntimeError: uvloop's, of a socket that is closed
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
