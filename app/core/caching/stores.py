"""Where the cache keeps what it remembers: in Redis, which all processes share, or in this one's memory.

A group has a version, a random one: a value counts while its groups' versions are those that it was stored under, so
forgetting a group is giving it another. A version that is lost (evicted, or with a Redis that lost all) is never
made again, and what was stored under it is not found.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from app.core.db.redis import RedisLink

VERSION_TTL_S = 86400
LOCK_S = 5  # whoever loads a value and dies keeps the other processes from it no longer

MAX_BYTES = 32 * 2**20
MAX_VALUE_BYTES = MAX_BYTES // 32
MAX_VERSIONS = 100_000


class Found(NamedTuple):
    versions: bytes  # of all the groups
    value: bytes | None


class Store(Protocol):
    """Raises RedisAway, each of them, when nothing can be asked."""

    async def read(self, groups: Sequence[str], key: str) -> Found: ...
    async def write(self, key: str, versions: bytes, value: bytes, ttl_s: float) -> None: ...
    async def lock(self, key: str, versions: bytes) -> bool: ...
    async def unlock(self, key: str, versions: bytes) -> None: ...
    async def renew(self, groups: Iterable[str]) -> None: ...


def _new_version() -> bytes:
    return secrets.token_hex(8).encode()


def _current(stored: bytes | None, versions: bytes) -> bytes | None:
    """The value, when it was stored under these versions."""
    head, _, value = (stored or b"").partition(b"\n")
    return value if stored and head == versions else None


class RedisStore:
    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = f"{prefix}:cache"

    async def read(self, groups: Sequence[str], key: str) -> Found:
        names = [*map(self._version, groups), self._value(key)]
        found: list[Any] = await self._link.ask(lambda: self._link.client.mget(names))
        if None in found[:-1]:
            found = await self._link.ask(lambda: self._begin(names))
        *versions, stored = found
        joined = b" ".join(versions)
        return Found(joined, _current(stored, joined))

    async def _begin(self, names: Sequence[str]) -> list[Any]:
        async with self._link.client.pipeline(transaction=False) as pipe:
            for name in names[:-1]:
                pipe.set(name, _new_version(), nx=True, ex=VERSION_TTL_S)
            pipe.mget(names)
            return (await pipe.execute())[-1]

    async def write(self, key: str, versions: bytes, value: bytes, ttl_s: float) -> None:
        stored, ttl_ms = versions + b"\n" + value, max(1, round(ttl_s * 1000))
        await self._link.ask(lambda: self._link.client.set(self._value(key), stored, px=ttl_ms))

    async def lock(self, key: str, versions: bytes) -> bool:
        name = self._lock(key, versions)
        return bool(await self._link.ask(lambda: self._link.client.set(name, b"", nx=True, ex=LOCK_S)))

    async def unlock(self, key: str, versions: bytes) -> None:
        await self._link.ask(lambda: self._link.client.delete(self._lock(key, versions)))

    async def renew(self, groups: Iterable[str]) -> None:
        async def send() -> None:
            async with self._link.client.pipeline(transaction=False) as pipe:
                for group in groups:
                    pipe.set(self._version(group), _new_version(), ex=VERSION_TTL_S)
                await pipe.execute()

        await self._link.ask(send)

    def _version(self, group: str) -> str:
        return f"{self._prefix}:version:{group}"

    def _value(self, key: str) -> str:
        return f"{self._prefix}:value:{key}"

    def _lock(self, key: str, versions: bytes) -> str:
        return f"{self._prefix}:lock:{key}:{versions.decode()}"


class MemoryStore:
    """For one process; what was used last is kept longest."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, bytes] = OrderedDict()
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self.size = 0  # bytes

    async def read(self, groups: Sequence[str], key: str) -> Found:
        versions = b" ".join(map(self._version, groups))
        stored, until = self._values.get(key, (None, 0.0))
        if stored is None or time.monotonic() >= until:
            return Found(versions, None)
        self._values.move_to_end(key)
        return Found(versions, _current(stored, versions))

    def _version(self, group: str) -> bytes:
        if group not in self._versions:
            self._versions[group] = _new_version()
            if len(self._versions) > MAX_VERSIONS:
                self._versions.popitem(last=False)
        return self._versions[group]

    async def write(self, key: str, versions: bytes, value: bytes, ttl_s: float) -> None:
        self._drop(key)
        if len(value) > MAX_VALUE_BYTES:
            return
        stored = versions + b"\n" + value
        self._values[key] = stored, time.monotonic() + ttl_s
        self.size += len(stored) + len(key)
        while self.size > MAX_BYTES:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        stored, _ = self._values.pop(key, (None, 0.0))
        if stored is not None:
            self.size -= len(stored) + len(key)

    async def lock(self, key: str, versions: bytes) -> bool:  # noqa: ARG002 - the process loads a value once anyway
        return True

    async def unlock(self, key: str, versions: bytes) -> None:
        pass

    async def renew(self, groups: Iterable[str]) -> None:
        for group in groups:
            self._versions.pop(group, None)
