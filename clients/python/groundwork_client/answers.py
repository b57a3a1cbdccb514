"""What a call answers: the data, and what its headers say of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import httpx

T = TypeVar("T")
C = TypeVar("C")
P = ParamSpec("P")


@dataclass(frozen=True)
class Answer(Generic[T]):
    data: T
    response: httpx.Response

    @property
    def etag(self) -> str | None:
        """The row's version, for `if_match`."""
        return self.response.headers.get("ETag")

    @property
    def next_cursor(self) -> str | None:
        """Where the next page of a list begins; None at the end."""
        url = self.response.links.get("next", {}).get("url")
        return httpx.URL(url).params["cursor"] if url else None

    @property
    def total(self) -> int | None:
        """How many rows there are in all, of a list with `count=True`."""
        total = self.response.headers.get("X-Total-Count")
        return int(total) if total else None


def every(
    fetch: Callable[Concatenate[C, P], Answer[list[T]]], client: C, *args: P.args, **query: P.kwargs
) -> Iterator[T]:
    """Every row of a list, page by page: `every(items.list_items, groundwork, limit=50)`."""
    while True:
        page = fetch(client, *args, **query)
        yield from page.data
        if not _turn(query, page):
            return


async def every_async(
    fetch: Callable[Concatenate[C, P], Awaitable[Answer[list[T]]]], client: C, *args: P.args, **query: P.kwargs
) -> AsyncIterator[T]:
    """Every row of a list, page by page: `every_async(items.list_items_async, groundwork, limit=50)`."""
    while True:
        page = await fetch(client, *args, **query)
        for row in page.data:
            yield row
        if not _turn(query, page):
            return


def _turn(query: Any, page: Answer[Any]) -> bool:
    """Point the query to the page after this one, if there is one. The cursor counts from where `skip` led."""
    query.pop("skip", None)
    query["cursor"] = page.next_cursor
    return page.next_cursor is not None
