"""So many at once, and who waits for a place longer than it may is told."""

import asyncio
from collections import deque


class Places:
    """As asyncio's Semaphore with a timeout, which would be a timer for each who waits: a twelfth of a read's cost.

    All may wait for as long, so the first in the queue is the first to give up, and one timer does for all.
    """

    def __init__(self, count: int, timeout_s: float) -> None:
        self._free = count
        self.timeout_s = timeout_s
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()  # and when each gives up
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        """Raises TimeoutError when none was free in time."""
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        given = loop.create_future()
        deadline = loop.time() + self.timeout_s
        self._waiting.append((given, deadline))
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._give_up)
        try:
            await given
        except asyncio.CancelledError:
            # It was given in the same turn of the loop, and not given up.
            if given.done() and not given.cancelled() and given.exception() is None:
                self.give_back()
            raise

    def give_back(self) -> None:
        """To the one who has waited longest."""
        while self._waiting:
            given, _ = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return
        self._free += 1

    def _give_up(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and (self._waiting[0][0].done() or self._waiting[0][1] <= loop.time()):
            given, _ = self._waiting.popleft()
            if not given.done():
                given.set_exception(TimeoutError())
        self._timer = loop.call_at(self._waiting[0][1], self._give_up) if self._waiting else None
