"""The cache: values that are dear to make, kept for a while, and forgotten when what they were made of is changed.

A value is made of groups, such as the caller's items. Each group has a version, which is read before the value is
loaded, and stored with it. Whoever changes the group gives it a new version after the commit and before the answer, so
a value that was loaded from what stood there before is not found any more, whenever it was stored.

In Redis when REDIS_URL is set; else in this process's memory, if no other process writes; else nothing is remembered.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Any, Literal

from pydantic_core import to_json

from app.core.caching.groups import Owned, everybodys, groups_of, groups_to_renew
from app.core.caching.single_flight import Loads, Wanted
from app.core.caching.stores import MemoryStore, RedisStore, Store
from app.core.config import Settings
from app.core.db.changes import Change, Kind
from app.core.db.redis import AWAY_S, RedisAway, RedisLink
from app.core.policy import Caller

MAX_TTL_S = 86400  # versions are kept for as long
MAX_PENDING = 10_000

Load = Callable[[], Awaitable[Any]]
Lookup = Literal["hit", "miss"]


class Cache:
    """A process's way to what is remembered."""

    def __init__(self, settings: Settings, link: RedisLink | None) -> None:
        self._store = _store(settings, link)
        self._loads = Loads()
        self._pending: dict[str, object] = {}  # groups that were changed, and have no new version yet
        self._catching_up: asyncio.Task[None] | None = None
        self.count_lookup: Callable[[Lookup], None] = _nobody_counts

    async def get_or_load(
        self, caller: Caller | None, of: Owned | Sequence[Owned], key: str, ttl_s: float, load: Load
    ) -> Any:
        """What `load` gives, as JSON has it, remembered for this caller and nobody else for up to so many seconds.

        `of` says what it is made of: entities that have `cached_for`, whose changes make it forgotten, or a name, for
        `forget`. What superusers see of entities is everybody's: it is loaded each time. A load that fails is not
        remembered.
        """
        sources = [of] if isinstance(of, str | type) else list(of)
        groups = groups_of(caller, sources)

        async def loaded() -> bytes:
            return to_json(await load())

        if groups is None:
            return json.loads(await loaded())
        names = "+".join(groups)
        return json.loads(await self.remember(caller, groups, f"{names}:{key}", ttl_s, loaded))

    async def remember(
        self,
        caller: Caller | None,
        groups: Sequence[str],
        key: str,
        ttl_s: float,
        load: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        """The bytes that `load` gives, for this caller."""
        if not 0 < ttl_s <= MAX_TTL_S:
            raise ValueError(f"{ttl_s} s: a value is remembered for more than 0 and up to {MAX_TTL_S} s")
        store = self._store
        if store is None or not await self._is_flushed(groups):
            return await load()
        digest = blake2b(key.encode(), digest_size=16).hexdigest()
        whole = f"{caller.id if caller else 'anybody'}:{digest}"
        try:
            versions, value = await store.read(groups, whole)
        except RedisAway:
            return await load()
        self.count_lookup("miss" if value is None else "hit")
        if value is not None:
            return value
        return await self._loads.once(store, Wanted(whole, tuple(groups), versions, ttl_s), load)

    def concerns(self, kind: Kind, table: str | None) -> bool:
        return self._store is not None and bool(groups_to_renew([Change(kind, table, None)]))

    async def on_change(self, changes: set[Change]) -> None:
        """Invalidate what the changes touch: called after a commit and before its response."""
        for group in groups_to_renew(changes):
            self._pending[group] = object()
        if len(self._pending) > MAX_PENDING:  # Redis is away for long
            self._pending = {everybodys(group): object() for group in self._pending}
        await self.flush_invalidations()

    async def flush_invalidations(self) -> None:
        """Give what was changed new versions. What cannot be done now is done as soon as Redis answers."""
        if not self._pending or self._store is None:
            return
        pending = dict(self._pending)
        try:
            await self._store.renew(pending)
        except RedisAway:
            self._catch_up()
            return
        except asyncio.CancelledError:
            self._catch_up()
            raise
        for group, mark in pending.items():
            if self._pending.get(group) is mark:  # it was not changed once more meanwhile
                del self._pending[group]

    async def _is_flushed(self, groups: Sequence[str]) -> bool:
        if self._pending.keys() & groups:
            await self.flush_invalidations()
        return not self._pending.keys() & groups

    def _catch_up(self) -> None:
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._retry_invalidations(), name="cache, to be forgotten")

    async def _retry_invalidations(self) -> None:
        while self._pending:
            await self.flush_invalidations()
            if self._pending:
                await asyncio.sleep(AWAY_S / 2)

    async def close(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
        await self.flush_invalidations()


def _nobody_counts(_: Lookup) -> None:
    """A command or a worker, whom Prometheus does not ask."""


def _store(settings: Settings, link: RedisLink | None) -> Store | None:
    if link is not None:
        return RedisStore(link, settings.app_name)
    is_alone = settings.web_concurrency == 1 and not settings.celery_broker_url
    return MemoryStore() if is_alone else None  # another process's writes would not be heard of
