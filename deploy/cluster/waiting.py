"""Waiting for what another process does: by looking, never by a guess of how long it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 120  # a machine that writes for others may keep a disk for a minute
BETWEEN_LOOKS_S = 0.01


def until_sync(look: Callable[[], T | None], timeout_s: float = TIMEOUT_S) -> T:
    """The first answer that is true; TimeoutError when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {answer!r} after {timeout_s} s")
        time.sleep(BETWEEN_LOOKS_S)
    return answer
