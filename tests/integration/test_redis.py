"""A process's way to Redis: what counts as away, and what does not."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from app.core.db.redis import RedisAway, RedisLink
from app.core.limits.counters import Counters
from deploy.cluster.servers import Redis

KEY, WINDOW_S = "reports", 60


class Interrupted(RedisLink):
    """Awaits `between` after its next question, as another request would come between two."""

    between: Callable[[], Awaitable[Any]] | None = None

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        answer = await super().ask(question)
        if self.between is not None:
            between, self.between = self.between, None
            await between()
        return answer


@pytest.fixture
async def link(redis: Redis) -> AsyncGenerator[Interrupted]:
    link = Interrupted(redis.url)
    await link.client.flushall()
    yield link
    await link.close()


@pytest.fixture
async def elsewhere(link: Interrupted) -> AsyncGenerator[Counters]:
    """The counters of another process."""
    other = RedisLink(link.url)
    yield Counters(other, "app")
    await other.close()


async def test_a_blocked_event_loop_leaves_limits_shared(link: Interrupted, elsewhere: Counters) -> None:
    here = Counters(link, "app")
    await elsewhere.add(KEY, WINDOW_S)
    for _ in range(3):
        asyncio.get_running_loop().call_soon(time.sleep, 1.5)
        await here.add(KEY, WINDOW_S)
    assert (await elsewhere.add(KEY, WINDOW_S)).value == 5


async def test_a_redis_that_is_silent_is_away_after_a_second(link: Interrupted) -> None:
    await link.ask(link.client.ping)
    began = time.monotonic()
    with pytest.raises(RedisAway):
        await link.ask(lambda: link.client.blpop(["nothing"], timeout=5))
    assert 0.9 < time.monotonic() - began < 3
    with pytest.raises(RedisAway):
        await link.ask(link.client.ping)  # not asked again at once


async def test_a_runtime_error_of_our_own_is_raised_and_redis_is_not_away(link: Interrupted) -> None:
    async def fail() -> None:
        raise RuntimeError("of our own code")

    with pytest.raises(RuntimeError, match="of our own code"):
        await link.ask(fail)
    assert await link.ask(link.client.ping)


async def test_a_count_taken_back_after_its_window_keeps_the_next_one(link: Interrupted, elsewhere: Counters) -> None:
    counters = Counters(link, "app")
    link.between = lambda: elsewhere.add(KEY, WINDOW_S)
    await counters.take_back(KEY, WINDOW_S)
    count = await counters.add(KEY, WINDOW_S)
    assert count.value == 2
    assert 0 < count.ends_in_s <= WINDOW_S
