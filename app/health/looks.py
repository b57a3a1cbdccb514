"""A look at something outside: however many ask at once, one is taken, and it serves for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedLook(Generic[T]):
    """A process's own."""

    def __init__(self, name: str, fresh_s: float, take: Callable[[], Awaitable[T]]) -> None:
        self._name = name
        self._fresh_s = fresh_s
        self._take = take
        self._look: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    async def __call__(self) -> T:
        if self._look is None or (self._look.done() and time.monotonic() >= self._fresh_until):
            self._look = asyncio.create_task(self._take_one(), name=self._name)
        return await asyncio.shield(self._look)  # whoever asked first may go away

    async def _take_one(self) -> T:
        try:
            return await self._take()
        finally:
            self._fresh_until = time.monotonic() + self._fresh_s
