"""Rows through the cache, for entities that say how long: `cached_for = 30  # seconds`.

A list is remembered only where `visible_to` began its statement and no other table has a part in it: what it is made of
is known then. Who may see a row is checked again with what is remembered, by whoever asks for it.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy import JSON, Table, inspect
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.visitors import iterate

from app.core.caching.groups import groups_of
from app.core.caching.service import Cache
from app.core.database import Reader
from app.core.db.reads import AnySelect, Row
from app.core.lists.statements import SCOPE, Listed, ViewScope
from app.core.policy import Caller


class CachingReader(Reader):
    """A process's reader of the primary, with the cache for entities that have `cached_for`."""

    def __init__(self, reader: Reader, cache: Cache) -> None:
        super().__init__(reader.engine, reader.fast)
        self.cache = cache


def _cache_of(read: Reader) -> Cache | None:
    return read.primary.cache if isinstance(read.primary, CachingReader) else None


async def remember_row(
    read: Reader, model: Any, caller: Caller | None, key: str, load: Callable[[Reader], Awaitable[Row]]
) -> Row:
    """The row that `load` gives, which raises what there is to raise."""
    groups, cache = groups_of(caller, [model]), _cache_of(read)
    if groups is None or cache is None:
        return await load(read)
    shape = _shape(model)

    async def dumped() -> bytes:
        return shape.row.dump_json(shape.values(await load(read.primary)))

    key = f"{model.__tablename__}:{shape.fingerprint}:row:{key}"
    found = await cache.remember(caller, groups, key, model.cached_for, dumped)
    return shape.to_row(shape.row.validate_json(found))


async def remember_page(
    read: Reader, statement: AnySelect, *, count: bool, load: Callable[[Reader], Awaitable[Listed]]
) -> Listed:
    """The page that `load` gives for the statement."""
    scope: ViewScope | None = statement.get_execution_options().get(SCOPE)
    cache = _cache_of(read)
    if scope is None or cache is None:
        return await load(read)
    model = statement.column_descriptions[0]["entity"]
    text = _text(statement, model)
    groups = groups_of(scope.caller, [model]) if text else None
    if groups is None:
        return await load(read)
    shape = _shape(model)

    async def dumped() -> bytes:
        page = await load(read.primary)
        return shape.page.dump_json(([shape.values(row) for row in page.rows], page.has_more, page.total))

    key = f"{model.__tablename__}:{shape.fingerprint}:list:{count}:{text}"
    found = await cache.remember(scope.caller, groups, key, model.cached_for, dumped)
    rows, has_more, total = shape.page.validate_json(found)
    return Listed([shape.to_row(row) for row in rows], has_more, total)


def _text(statement: AnySelect, model: Any) -> str | None:
    """The statement with its values, or None when other rows than the entity's have a part in it."""
    (first, *others) = statement.column_descriptions
    tables = {part for part in iterate(statement) if isinstance(part, Table)}
    if others or first["expr"] is not model or tables != {model.__table__}:
        return None
    try:
        compiled = statement.compile()
    except CompileError:  # what only some databases know
        return None
    return f"{compiled}{sorted(compiled.params.items())}"


class _Shape(NamedTuple):
    """How a model's rows are written as JSON, and read from it with the types that its columns have."""

    names: list[str]
    row: TypeAdapter[tuple[Any, ...]]
    page: TypeAdapter[tuple[list[tuple[Any, ...]], bool, int | None]]
    fingerprint: str  # another version of the code may have other columns

    def values(self, row: Row) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in self.names)

    def to_row(self, values: tuple[Any, ...]) -> Row:
        return Row(**dict(zip(self.names, values, strict=True)))


@cache
def _shape(model: Any) -> _Shape:
    columns = {column.key: column.columns[0] for column in inspect(model).column_attrs}
    types = [_type(column) for column in columns.values()]
    config = ConfigDict(ser_json_inf_nan="strings", ser_json_bytes="base64", val_json_bytes="base64")
    row: Any = tuple[tuple(types)]  # ty: ignore[invalid-type-form]
    page: Any = tuple[list[row], bool, int | None]
    fingerprint = ",".join(f"{name}={kind}" for name, kind in zip(columns, types, strict=True))
    return _Shape(list(columns), TypeAdapter(row, config=config), TypeAdapter(page, config=config), fingerprint)


def _type(column: Any) -> Any:
    if isinstance(column.type, JSON):
        return Any
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return Any  # text of a type of our own
    return kind | None if column.nullable else kind
