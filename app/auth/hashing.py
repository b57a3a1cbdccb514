"""Password hashing off the event loop: few threads, at a low priority, with a bounded queue."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from app.core.errors import Unavailable
from app.core.security import hash_password, rounds_of, verify_password

T = TypeVar("T")

MAX_THREADS = 4
MAX_WAITING = 100  # at 0.25 s a hash and two cores the last of them waits for 12 s
NICE = 10


class PasswordHasher:
    """Hashes and verifies in threads of its own; bcrypt lets go of the GIL while it works.

    Raises:
        Unavailable: MAX_WAITING hashes are under way or waiting already.
    """

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self._waiting = 0
        self._threads = ThreadPoolExecutor(
            max_workers=min(MAX_THREADS, os.cpu_count() or 1),
            thread_name_prefix="hash",
            initializer=_lower_priority,
        )
        # A wrong password and an unknown account cost the same: the latter is compared with this, which is no hash
        # of anything.
        self._nobody = f"$bcrypt-sha256$v=2,t=2b,r={rounds}${'.' * 22}${'.' * 31}"

    async def hash(self, password: str) -> str:
        return await self._run(lambda: hash_password(password, self.rounds))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the hash's; without a hash it takes as long, and is False."""
        return await self._run(lambda: self._verify(password, hashed or self._nobody))

    def _verify(self, password: str, hashed: str) -> bool:
        is_right = verify_password(password, hashed)
        if not is_right:
            # One of fewer rounds was quicker than that of nobody: what is missing is 2^n + 2^(n+1) and so on.
            for rounds in range(rounds_of(hashed) or self.rounds, self.rounds):
                hash_password(password, rounds)
        return is_right

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Unavailable
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _lower_priority() -> None:
    """A login flood must not take the processor from the event loop."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


async def _hasher(request: Request) -> PasswordHasher:
    return request.app.state.hasher


Hasher = Annotated[PasswordHasher, Depends(_hasher)]
