"""How far the database was after each user's last write: noted in Redis, so that any process knows what they may read.

A note lasts for longer than a replica may lag. Until then it can be lost, and nobody may be sure of what they find:

- Redis cannot be reached by who writes: `note` says so.
- It was restarted empty, or flushed: its `epoch` is gone too. Whoever finds that makes a new one, which is `young` for
  as long as a lost note would have lasted.
- It was restarted from an older copy of its data, with an epoch: it is another run of Redis, and each process sees that
  when it connects again.
"""

import re
import time
from typing import Any, cast

from app.core.db.redis import RedisAway, RedisLink
from app.core.db.replication.positions import Position

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
        self._link = RedisLink(redis_url, connected=self._connected)
        self._prefix = f"{prefix}:own-writes"
        self._lasts_s = lasts_s
        self._run, self._sure_at = b"", 0.0

    async def note(self, user_id: int, position: Position) -> bool:
        """Whether it is noted: False when Redis does not say so, and nobody may rely on it."""
        numbers = [word for pair in position.items() for word in pair]

        async def keep() -> Any:
            key = self._key(user_id)
            return await cast("Any", self._link.client.eval(KEEP_THE_LATEST, 1, key, self._lasts_s, *numbers))

        try:
            return bool(await self._link.ask(keep))
        except RedisAway:
            return False

    async def find(self, user_id: int) -> Position:
        """What the user's reads have to show; UNKNOWN where that cannot be known, and only the primary is sure."""

        async def look() -> list[Any]:
            asked = self._link.client.pipeline(transaction=False)
            asked.mget(f"{self._prefix}:epoch", f"{self._prefix}:young")
            asked.hgetall(self._key(user_id))
            return await asked.execute()

        try:
            (epoch, young), note = await self._link.ask(look)
            if epoch is None:
                await self._link.ask(self._begin_epoch)
        except RedisAway:
            return UNKNOWN
        if epoch is None or young is not None or time.monotonic() < self._sure_at:
            return UNKNOWN
        return {source.decode(): int(number) for source, number in note.items()}

    async def close(self) -> None:
        await self._link.close()

    async def _begin_epoch(self) -> list[Any]:
        begun = self._link.client.pipeline(transaction=True)
        begun.set(f"{self._prefix}:young", 1, ex=self._lasts_s)
        begun.set(f"{self._prefix}:epoch", 1)
        return await begun.execute()

    async def _connected(self, connection: Any) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        found = re.search(rb"run_id:(\w+)", await connection.read_response())
        run = found[1] if found else b""
        if self._run not in (b"", run):
            self._sure_at = time.monotonic() + self._lasts_s
        self._run = run

    def _key(self, user_id: int) -> str:
        return f"{self._prefix}:{user_id}"
