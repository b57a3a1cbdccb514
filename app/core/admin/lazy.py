"""The admin's site, made when somebody first looks at it: its libraries take a second that no start waits for."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import to_thread

if TYPE_CHECKING:
    from app.core.admin.site import Site


class LazySite:
    def __init__(self, make: Callable[[], "Site"]) -> None:
        self._make = make
        self._site: Site | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> "Site":
        async with self._lock:
            if self._site is None:
                self._site = await to_thread.run_sync(self._make)
            return self._site
