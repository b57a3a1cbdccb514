"""Lists: `limit`, `skip`, `sort`, filters, `q`, `count=true`, and a keyset cursor in the `Link` header.

A page after a cursor costs as much as the first, however deep it is; one after `skip` reads what it skips.
"""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import BigInteger, ColumnElement, and_, false, literal, or_
from sqlalchemy.orm import InstrumentedAttribute

from app.core.cached_rows import Listed, remember_page
from app.core.columns import ExactDecimal
from app.core.database import MAX_BIG_INTEGER, MAX_INTEGER, AnySelect, Reader, Row
from app.core.errors import Invalid
from app.core.first_pages import first_page
from app.core.schemas import UtcDatetime

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


class Key(NamedTuple):
    """One column of a list's order."""

    name: str
    column: InstrumentedAttribute[Any]
    descending: bool


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
        keys = _keys(model, type(query), query.sort)
        is_first = query.cursor is None and query.q is None and not query.skip and not query.count
        built = first_page(statement, _filters(query), _order(keys), query.limit + 1) if is_first else None
        if built is not None and not model.cached_for:
            page, values = built
            rows = await read.all(page, **values)
            listed = Listed(rows[: query.limit], len(rows) > query.limit, None)
        else:
            listed = await self._fetch(read, statement, query, keys)
        if listed.total is not None:
            self._response.headers["X-Total-Count"] = str(listed.total)
        if listed.has_more:
            self._link_next(keys, listed.rows[-1])
        return listed.rows

    async def _fetch(self, read: Reader, statement: AnySelect, query: ListQuery, keys: tuple[Key, ...]) -> Listed:
        model = statement.column_descriptions[0]["entity"]
        everything = statement = statement.where(*_conditions(model, query))
        if query.cursor is not None:
            statement = statement.where(_after(keys, query))
        page = statement.order_by(*_order(keys)).limit(query.limit + 1)
        if query.skip:
            page = page.offset(query.skip)

        async def load(read: Reader) -> Listed:
            total = await read.count(everything) if query.count else None
            rows = await read.all(page)
            return Listed(rows[: query.limit], len(rows) > query.limit, total)

        return await remember_page(read, page, count=query.count, load=load)

    def _link_next(self, keys: Sequence[Key], last: Row) -> None:
        asked = [(name, value) for name, value in self._request.query_params.multi_items() if name not in _PLACE]
        url = self._request.url.replace(query=urlencode([*asked, ("cursor", _encode(keys, last))]))
        self._response.headers["Link"] = f'<{url}>; rel="next"'


async def _pager(request: Request, response: Response) -> Pager:
    return Pager(request, response)


Page = Annotated[Pager, Depends(_pager)]


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


@lru_cache(maxsize=1000)
def _keys(model: Any, query: type[ListQuery], sort: str | None) -> tuple[Key, ...]:
    """The order that was asked for, made total by the id."""
    terms = sort.split(",") if sort else []
    names = [term.strip().removeprefix("-") for term in terms]
    unknown = [name for name in names if name not in query.sortable]
    if unknown or len(set(names)) != len(names):
        raise Invalid("query", "sort", f"Sort by one or more of: {', '.join(query.sortable)}, each once")
    keys = [
        Key(name, getattr(model, name), term.strip().startswith("-")) for name, term in zip(names, terms, strict=True)
    ]
    if "id" not in names:
        keys.append(Key("id", model.id, keys[-1].descending if keys else False))
    return tuple(keys)


@lru_cache(maxsize=1000)
def _order(keys: tuple[Key, ...]) -> tuple[ColumnElement[Any], ...]:
    return tuple(term for key in keys for term in _terms(key))


def _terms(key: Key) -> list[ColumnElement[Any]]:
    direction = key.column.desc() if key.descending else key.column.asc()
    # Databases disagree where NULL sorts; here it is last.
    return [key.column.is_(None), direction] if _nullable(key) else [direction]


def _nullable(key: Key) -> bool:
    return key.column.property.columns[0].nullable


def _after(keys: Sequence[Key], query: ListQuery) -> ColumnElement[bool]:
    """The rows after the cursor's: (a > x) or (a = x and b > y) or ..."""
    if query.skip:
        raise Invalid("query", "skip", "Goes with no cursor: the cursor says where the page begins")
    cases: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key, value in zip(keys, _decode(keys, query.cursor or ""), strict=True):
        if value is None:
            equal.append(key.column.is_(None))  # NULL is last: nothing of this key is after it
            continue
        bound = literal(value, key.column.type)
        later = key.column < bound if key.descending else key.column > bound
        cases.append(and_(*equal, or_(later, key.column.is_(None)) if _nullable(key) else later))
        equal.append(key.column == bound)
    return or_(false(), *cases)


def _encode(keys: Sequence[Key], row: Row) -> str:
    """The cursor: opaque, and nothing that the client did not just read."""
    values = to_jsonable_python([getattr(row, key.name) for key in keys])
    text = json.dumps([_signature(keys), *values], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _signature(keys: Sequence[Key]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.name}" for key in keys)


def _decode(keys: Sequence[Key], cursor: str) -> list[Any]:
    try:
        signature, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if signature != _signature(keys):
            raise ValueError
        return [_typed(key, value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise Invalid("query", "cursor", "Not a cursor of this list in this order") from None


def _typed(key: Key, value: Any) -> Any:
    """The value as the column's type has it. Raises ValueError when it is not of that type."""
    if value is None and _nullable(key):
        return None
    typed = _adapter(key.column.type.python_type).validate_python(value)
    largest = MAX_BIG_INTEGER if isinstance(key.column.type, BigInteger) else MAX_INTEGER
    if isinstance(typed, int) and abs(typed) > largest:
        raise ValueError
    if isinstance(typed, Decimal) and abs(typed) >= 10**ExactDecimal.MAX_PRECISION:
        raise ValueError
    if isinstance(typed, str) and "\0" in typed:
        raise ValueError
    return typed


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(UtcDatetime if kind is datetime else kind, config=ConfigDict(allow_inf_nan=False))
