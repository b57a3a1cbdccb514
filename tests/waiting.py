"""Waiting for what another task, thread or process does: by looking, never by a guess of how long it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 60
BETWEEN_LOOKS_S = 0.01


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """The first answer that is true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (answer := await look()):  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(BETWEEN_LOOKS_S)
        return answer


def until_sync(look: Callable[[], T | None], timeout_s: float = TIMEOUT_S) -> T:
    """The same where there is no event loop."""
    deadline = time.monotonic() + timeout_s
    while not (answer := look()):
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout_s} s"
        time.sleep(BETWEEN_LOOKS_S)
    return answer
