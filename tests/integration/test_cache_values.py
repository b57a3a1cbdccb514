"""The cache's own promises: one load for all who wait, nothing old after a change, nobody else's, and bounded."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.cache import Cache
from app.core.caching import stores as cache_stores
from app.core.caching.stores import MemoryStore
from app.core.db.changes import Change
from app.core.db.redis import RedisLink
from deploy.cluster.servers import Redis
from tests import factories
from tests.waiting import until

LONG_S = 3600.0
ALICE, BOB = SimpleNamespace(id=1, is_superuser=False), SimpleNamespace(id=2, is_superuser=False)


@pytest.fixture(params=["memory", "redis"])
async def caches(request: pytest.FixtureRequest) -> AsyncGenerator[list[Cache]]:
    """The caches of two processes, where there are two."""
    if request.param == "memory":
        yield [Cache(factories.settings(), None)]
        return
    links = [RedisLink(request.getfixturevalue("redis").url) for _ in range(2)]
    await links[0].client.flushall()
    yield [Cache(factories.settings(), link) for link in links]
    for link in links:
        await link.close()


class Loader:
    """Gives 1, 2, 3 ...; held up when `gate` is closed."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.calls += 1
        answer = self.calls
        await self.gate.wait()
        return answer


async def get(cache: Cache, load: Any, *, caller: Any = ALICE, key: str = "key", ttl_s: float = LONG_S) -> Any:
    return await cache.get_or_load(caller, "reports", key, ttl_s, load)


async def change(cache: Cache, owner: int | None = ALICE.id) -> None:
    """What a transaction does after its commit."""
    await cache.on_change({Change("update", "reports", owner)})


async def test_a_value_is_loaded_once_for_its_caller_and_key(caches: list[Cache]) -> None:
    load = Loader()
    for cache in caches * 2:
        assert await get(cache, load) == 1
    assert await get(caches[0], load, caller=BOB) == 2
    assert await get(caches[0], load, caller=None) == 3
    assert await get(caches[0], load, key="other") == 4
    assert [await get(cache, load) for cache in caches] == [1] * len(caches)


async def test_a_value_is_json_whether_it_was_loaded_or_remembered(caches: list[Cache]) -> None:
    async def load() -> Any:
        return {1: (2, None)}

    assert await get(caches[0], load) == await get(caches[-1], load) == {"1": [2, None]}


async def test_a_change_is_its_owners_or_everybodys(caches: list[Cache]) -> None:
    load = Loader()
    for owner, expected in ((None, [1, 2]), (BOB.id, [3, 4]), (ALICE.id, [3, 5]), (None, [6, 5])):
        assert [await get(caches[-1], load, caller=who) for who in (ALICE, BOB)] == expected
        await change(caches[0], owner)
    assert [await get(caches[-1], load, caller=who) for who in (ALICE, BOB)] == [7, 8]


async def test_what_was_read_before_a_change_is_not_found_after_it(caches: list[Cache]) -> None:
    load = Loader()
    load.gate.clear()
    before = asyncio.create_task(get(caches[0], load))
    await until(lambda: _is_loading(load))
    await change(caches[-1])
    load.gate.set()
    after = await get(caches[0], load)
    assert (await before, after) == (1, 2)
    assert 1 not in [await get(cache, load) for cache in caches]


async def _is_loading(load: Loader, calls: int = 1) -> bool:
    return load.calls == calls


async def test_who_comes_after_a_change_does_not_wait_for_what_began_before(caches: list[Cache]) -> None:
    slow, load = Loader(), Loader()
    slow.gate.clear()
    before = asyncio.create_task(get(caches[0], slow))
    await until(lambda: _is_loading(slow))
    await change(caches[0])
    load.calls = 10
    assert await get(caches[0], load) == 11
    slow.gate.set()
    assert await before == 1
    assert await get(caches[-1], load) > 10


async def test_of_a_hundred_at_once_one_loads(caches: list[Cache]) -> None:
    load = Loader()
    load.gate.clear()
    crowd = [asyncio.create_task(get(cache, load)) for _ in range(50) for cache in caches]
    await until(lambda: _is_loading(load))
    load.gate.set()
    assert set(await asyncio.gather(*crowd)) == {1}
    assert load.calls == 1


async def test_who_waits_too_long_for_another_process_loads_it(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.caching.single_flight.WAIT_S", 0.1)
    links = [RedisLink(redis.url) for _ in range(2)]
    one, other = (Cache(factories.settings(app_name="waiting"), link) for link in links)
    stuck, load = Loader(), Loader()
    stuck.gate.clear()
    waiting = asyncio.create_task(get(one, stuck))
    await until(lambda: _is_loading(stuck))
    load.calls = 10
    assert await get(other, load) == 11
    stuck.gate.set()
    assert await waiting == 1
    for link in links:
        await link.close()


async def test_a_load_that_fails_fails_its_waiters_and_is_not_remembered(caches: list[Cache]) -> None:
    may_fail = asyncio.Event()
    calls = 0

    async def load() -> None:
        nonlocal calls
        calls += 1
        await may_fail.wait()
        raise LookupError

    crowd = [asyncio.create_task(get(caches[0], load)) for _ in range(5)]
    await until(lambda: _called(lambda: calls))
    may_fail.set()
    assert [type(error) for error in await asyncio.gather(*crowd, return_exceptions=True)] == [LookupError] * 5
    assert calls == 1
    assert await get(caches[-1], Loader()) == 1


async def _called(calls: Any) -> bool:
    return calls() > 0


async def test_who_goes_away_does_not_take_the_others_value_along(caches: list[Cache]) -> None:
    load = Loader()
    load.gate.clear()
    first, second = (asyncio.create_task(get(caches[0], load)) for _ in range(2))
    await until(lambda: _is_loading(load))
    first.cancel()
    load.gate.set()
    assert await second == 1
    assert first.cancelled() or first.cancelling()
    assert await get(caches[-1], load) == 1


async def test_a_value_is_over_when_its_time_is(caches: list[Cache]) -> None:
    load = Loader()
    assert await get(caches[0], load, ttl_s=0.05) == 1

    async def is_loaded_anew() -> bool:
        return await get(caches[-1], load, ttl_s=0.05) > 1

    await until(is_loaded_anew)
    for ttl_s in (0, -1, 86401):
        with pytest.raises(ValueError, match="up to 86400 s"):
            await get(caches[0], load, ttl_s=ttl_s)


async def test_what_redis_has_lost_is_not_found_under_an_old_version(redis: Redis) -> None:
    """A counter that began at 1 again would find what another Redis, or a reader that was slow, stored under 1."""
    link = RedisLink(redis.url)
    cache, load = Cache(factories.settings(app_name="lost"), link), Loader()
    load.gate.clear()
    slow = asyncio.create_task(get(cache, load))
    await until(lambda: _is_loading(load))
    await link.client.flushall()  # the versions too
    load.gate.set()
    assert await slow == 1
    assert await get(cache, load) == 2
    assert await get(cache, load) == 2
    await link.close()


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_stores, "MAX_BYTES", 10_000)
    monkeypatch.setattr(cache_stores, "MAX_VALUE_BYTES", 1_000)
    monkeypatch.setattr(cache_stores, "MAX_VERSIONS", 50)
    store = MemoryStore()
    for number in range(300):
        found = await store.read([f"group:{number}"], f"key {number}")
        await store.write(f"key {number}", found.versions, b"x" * 100, LONG_S)
        assert store.size <= 10_000
    assert len(store._versions) <= 50
    assert 40 < len(store._values) < 100
    assert (await store.read(["group:299"], "key 299")).value == b"x" * 100
    await store.write("too large", b"", b"x" * 2_000, LONG_S)
    assert (await store.read([], "too large")).value is None
