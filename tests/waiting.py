"""Waiting for what another task, thread or process does: by looking, never by a guess of how long it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deploy.cluster.waiting import BETWEEN_LOOKS_S, TIMEOUT_S, until_sync

__all__ = ["until", "until_sync"]

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """The first answer that is true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (answer := await look()):  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(BETWEEN_LOOKS_S)
        return answer
