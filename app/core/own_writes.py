"""How far the database was after each user's last write: noted in Redis, so that any process knows what they may read.

A note lasts for longer than a replica may lag. Two things can lose one: Redis cannot be reached by who writes, which
`note` says; and a Redis that was restarted empty, or flushed, has lost its `epoch` too. Whoever finds that makes a new
one, which is `young` for as long as a lost note would have lasted, and meanwhile nobody is sure of anything.
"""

import logging
import time
from typing import Any, cast

from app.core.counters import AWAY_S, open_pool
from app.core.positions import Position

logger = logging.getLogger("app.replicas")

NOTHING: Position = {}
UNKNOWN: Position = {"*": 1}  # which no replica reaches

# Of two writes at once the later position stays, whichever is noted last.
KEEP_THE_LATEST = """
for i = 2, #ARGV, 2 do
  local old = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or -1)
  if tonumber(ARGV[i + 1]) > old then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


class OwnWrites:
    def __init__(self, redis_url: str, prefix: str, lasts_s: int) -> None:
        """Connects at the first use. Raises ModuleNotFoundError where Redis's library is not installed."""
        from redis.asyncio import Redis

        self._pool = open_pool(redis_url)
        self._redis = Redis(connection_pool=self._pool)
        self._prefix = f"{prefix}:own-writes"
        self._lasts_s = lasts_s
        self._is_away, self._ask_again_at = False, 0.0

    async def note(self, user_id: int, position: Position) -> bool:
        """Whether it is noted: False when Redis does not say so, and nobody may rely on it."""
        numbers = [word for pair in position.items() for word in pair]

        async def keep() -> Any:
            return await cast("Any", self._redis.eval(KEEP_THE_LATEST, 1, self._key(user_id), self._lasts_s, *numbers))

        return await self._ask(keep) is not None

    async def find(self, user_id: int) -> Position:
        """What the user's reads have to show; UNKNOWN where that cannot be known, and only the primary is sure."""

        async def look() -> list[Any]:
            asked = self._redis.pipeline(transaction=False)
            asked.mget(f"{self._prefix}:epoch", f"{self._prefix}:young")
            asked.hgetall(self._key(user_id))
            return await asked.execute()

        answer = await self._ask(look)
        if answer is None:
            return UNKNOWN
        (epoch, young), note = answer
        if epoch is None:
            await self._ask(self._begin_epoch)
        if epoch is None or young is not None:
            return UNKNOWN
        return {source.decode(): int(number) for source, number in note.items()}

    async def close(self) -> None:
        await self._pool.aclose()

    async def _begin_epoch(self) -> list[Any]:
        begun = self._redis.pipeline(transaction=True)
        begun.set(f"{self._prefix}:young", 1, ex=self._lasts_s)
        begun.set(f"{self._prefix}:epoch", 1)
        return await begun.execute()

    def _key(self, user_id: int) -> str:
        return f"{self._prefix}:{user_id}"

    async def _ask(self, question: Any) -> Any:
        """Its answer, or None: one that is away is asked again some seconds later."""
        from redis.exceptions import RedisError

        if time.monotonic() < self._ask_again_at:
            return None
        try:
            answer = await question()
        except (RedisError, OSError) as error:
            if not self._is_away:
                extra = {"error": type(error).__name__}
                logger.warning("Redis is away: who is signed in reads on the primary", extra=extra)
            self._is_away, self._ask_again_at = True, time.monotonic() + AWAY_S
            return None
        self._is_away = False
        return answer
