"""Lists: `limit`, `skip`, `sort`, filters, `q`, `count=true`, and a keyset cursor in the `Link` header.

A page after a cursor costs as much as the first, however deep it is; one after `skip` reads what it skips.
"""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, or_

from app.core.caching.rows import remember_page
from app.core.database import MAX_INTEGER, AnySelect, Reader, Row
from app.core.errors import Invalid
from app.core.lists.order import Key, after, cursor_of, keys_of, order_by
from app.core.lists.statements import After, Listed, page_statement

MAX_LIMIT = 100
_PLACE = ("skip", "cursor")  # where a page begins
MAX_CURSOR_LENGTH = 6000  # a thousand code points in base64; servers take a URL of 8 KB


class ListQuery(BaseModel):
    """What a list can be asked for.

    A subclass adds fields that filter by the model's column of the same name, and names those that mean something else,
    for its endpoint to apply, in `filtered_by_the_endpoint`.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    sortable: ClassVar[tuple[str, ...]] = ("id",)
    searchable: ClassVar[tuple[str, ...]] = ()
    filtered_by_the_endpoint: ClassVar[tuple[str, ...]] = ()

    skip: int = Field(0, ge=0, le=MAX_INTEGER)
    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT)
    sort: str | None = Field(None, max_length=200, description="Fields with commas between; - for descending")
    q: str | None = Field(None, min_length=1, max_length=200, description="Text to search for")
    cursor: str | None = Field(None, max_length=MAX_CURSOR_LENGTH, description="Where the last page ended")
    count: bool = Field(False, description="Answer with X-Total-Count")


class OwnedQuery(ListQuery):
    """A list of rows that belong to users."""

    user_id: int | None = Field(None, ge=1, le=MAX_INTEGER, description="Whose rows; for superusers")


class Pager:
    """Fetches one page and tells in the headers where the next begins."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    async def fetch(self, read: Reader, statement: AnySelect, query: ListQuery) -> list[Row]:
        """The page of the statement's rows that the query asks for.

        Raises:
            Invalid: an unknown field in `sort`, a `cursor` of another list, `q` where nothing is searched.
        """
        model = statement.column_descriptions[0]["entity"]
        keys = keys_of(model, query.sortable, query.sort)
        if query.cursor is not None and query.skip:
            raise Invalid("query", "skip", "Goes with no cursor: the cursor says where the page begins")
        place = None if query.cursor is None else after(keys, query.cursor)
        is_plain = query.q is None and not query.skip and not query.count
        built = page_statement(statement, _filters(query), order_by(keys), place, query.limit + 1) if is_plain else None
        if built is not None and not _is_cached(model):
            page, values = built
            rows = await read.all(page, **values)
            listed = Listed(rows[: query.limit], len(rows) > query.limit, None)
        else:
            listed = await self._fetch(read, statement, query, order_by(keys), place)
        if listed.total is not None:
            self._response.headers["X-Total-Count"] = str(listed.total)
        if listed.has_more:
            self._link_next(keys, listed.rows[-1])
        return listed.rows

    async def _fetch(
        self,
        read: Reader,
        statement: AnySelect,
        query: ListQuery,
        order: tuple[ColumnElement[Any], ...],
        place: After | None,
    ) -> Listed:
        model = statement.column_descriptions[0]["entity"]
        everything = statement = statement.where(*_conditions(model, query))
        if place is not None:
            statement = statement.where(place.condition).params(place.values)
        page = statement.order_by(*order).limit(query.limit + 1)
        if query.skip:
            page = page.offset(query.skip)

        async def load(read: Reader) -> Listed:
            total = await read.count(everything) if query.count else None
            rows = await read.all(page)
            return Listed(rows[: query.limit], len(rows) > query.limit, total)

        return await remember_page(read, page, count=query.count, load=load) if _is_cached(model) else await load(read)

    def _link_next(self, keys: Sequence[Key], last: Row) -> None:
        asked = [(name, value) for name, value in self._request.query_params.multi_items() if name not in _PLACE]
        url = self._request.url.replace(query=urlencode([*asked, ("cursor", cursor_of(keys, last))]))
        self._response.headers["Link"] = f'<{url}>; rel="next"'


async def _pager(request: Request, response: Response) -> Pager:
    return Pager(request, response)


Page = Annotated[Pager, Depends(_pager)]


def _is_cached(model: Any) -> bool:
    return bool(getattr(model, "cached_for", None))  # accounts and jobs are no Guarded


def _filters(query: ListQuery) -> dict[str, Any]:
    return {name: value for name in _filtered(type(query)) if (value := getattr(query, name)) is not None}


def _conditions(model: Any, query: ListQuery) -> list[ColumnElement[bool]]:
    conditions = [getattr(model, name) == value for name, value in _filters(query).items()]
    if query.q is not None:
        if not query.searchable:
            raise Invalid("query", "q", "This list has no text to search")
        conditions.append(or_(*(getattr(model, name).icontains(query.q, autoescape=True) for name in query.searchable)))
    return conditions


@cache
def _filtered(query: type[ListQuery]) -> list[str]:
    return sorted(query.model_fields.keys() - ListQuery.model_fields.keys() - set(query.filtered_by_the_endpoint))
