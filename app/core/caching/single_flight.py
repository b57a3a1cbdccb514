"""Loading what is not remembered: once for all who want it at the same time, here and in the other processes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from app.core.caching.stores import Store
from app.core.db.redis import RedisAway

WAIT_S = 0.5  # for another process that loads the same; then this one does, too
BETWEEN_LOOKS_S = 0.01

Load = Callable[[], Awaitable[bytes]]


class Wanted(NamedTuple):
    """A value that is to be loaded, and the versions that were read before."""

    key: str
    groups: tuple[str, ...]
    versions: bytes
    ttl_s: float


class Loads:
    """What this process is loading."""

    def __init__(self) -> None:
        self._running: dict[Wanted, asyncio.Task[bytes]] = {}

    async def once(self, store: Store, wanted: Wanted, load: Load) -> bytes:
        """One load for all who have read the same versions: whoever comes after a change gets what is newer.

        It is a task of its own, so that the others do not fail when the first of them goes away.
        """
        task = self._running.get(wanted)
        if task is None:
            task = asyncio.create_task(_load(store, wanted, load), name=f"cache {wanted.key}")
            self._running[wanted] = task
            task.add_done_callback(lambda task: self._end(wanted, task))
        return await asyncio.shield(task)

    def _end(self, wanted: Wanted, task: asyncio.Task[bytes]) -> None:
        self._running.pop(wanted, None)
        if not task.cancelled():
            task.exception()  # it is heard by those who wait, if anybody still does


async def _load(store: Store, wanted: Wanted, load: Load) -> bytes:
    try:
        is_first = await store.lock(wanted.key, wanted.versions)
        if not is_first and (value := await _await_other(store, wanted)) is not None:
            return value
    except RedisAway:
        return await load()
    try:
        value = await load()
        with suppress(RedisAway):
            await store.write(wanted.key, wanted.versions, value, wanted.ttl_s)
    finally:
        with suppress(RedisAway):
            await store.unlock(wanted.key, wanted.versions)
    return value


async def _await_other(store: Store, wanted: Wanted) -> bytes | None:
    """What another process has loaded meanwhile; None when it takes too long, or something was changed."""
    for _ in range(round(WAIT_S / BETWEEN_LOOKS_S)):
        await asyncio.sleep(BETWEEN_LOOKS_S)
        found = await store.read(wanted.groups, wanted.key)
        if found.versions != wanted.versions or found.value is not None:
            return found.value
    return None
