"""The order of a list, and the place in it that a cursor says: the values of the last row that was read."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, false, or_
from sqlalchemy.orm import InstrumentedAttribute

from app.core.columns import ExactDecimal
from app.core.database import MAX_BIG_INTEGER, MAX_INTEGER, Row
from app.core.errors import Invalid
from app.core.lists.statements import After
from app.core.schemas import UNSTORABLE, UtcDatetime

_AFTER = "_after_"  # no field's name begins so


class Key(NamedTuple):
    """One column of a list's order."""

    name: str
    column: InstrumentedAttribute[Any]
    descending: bool


@lru_cache(maxsize=1000)
def keys_of(model: Any, sortable: tuple[str, ...], sort: str | None) -> tuple[Key, ...]:
    """The order that was asked for, made total by the id."""
    terms = sort.split(",") if sort else []
    names = [term.strip().removeprefix("-") for term in terms]
    unknown = [name for name in names if name not in sortable]
    if unknown or len(set(names)) != len(names):
        raise Invalid("query", "sort", f"Sort by one or more of: {', '.join(sortable)}, each once")
    keys = [
        Key(name, getattr(model, name), term.strip().startswith("-")) for name, term in zip(names, terms, strict=True)
    ]
    if "id" not in names:
        keys.append(Key("id", model.id, keys[-1].descending if keys else False))
    return tuple(keys)


@lru_cache(maxsize=1000)
def order_by(keys: tuple[Key, ...]) -> tuple[ColumnElement[Any], ...]:
    return tuple(term for key in keys for term in _terms(key))


def _terms(key: Key) -> list[ColumnElement[Any]]:
    direction = key.column.desc() if key.descending else key.column.asc()
    # Databases disagree where NULL sorts; here it is last.
    return [key.column.is_(None), direction] if _nullable(key) else [direction]


def _nullable(key: Key) -> bool:
    return key.column.property.columns[0].nullable


def after(keys: tuple[Key, ...], cursor: str) -> After:
    """The rows after the cursor. Raises Invalid where it is not of this order."""
    place = {key: value for key, value in zip(keys, _decode(keys, cursor), strict=True) if value is not None}
    return After(_later(keys, frozenset(place)), {_AFTER + key.name: value for key, value in place.items()})


@lru_cache(maxsize=1000)
def _later(keys: tuple[Key, ...], known: frozenset[Key]) -> ColumnElement[bool]:
    """The rows after a place: (a > x) or (a = x and b > y) or ... Where a key is not known, the place is at a NULL."""
    cases: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key in keys:
        if key not in known:
            equal.append(key.column.is_(None))  # NULL is last: nothing of this key is after it
            continue
        bound = bindparam(_AFTER + key.name, type_=key.column.type)
        later = key.column < bound if key.descending else key.column > bound
        cases.append(and_(*equal, or_(later, key.column.is_(None)) if _nullable(key) else later))
        equal.append(key.column == bound)
    return or_(false(), *cases)


def cursor_of(keys: Sequence[Key], row: Row) -> str:
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
    if isinstance(typed, Decimal) and not _is_like_stored(typed):
        raise ValueError
    if isinstance(typed, str) and UNSTORABLE.search(typed):
        raise ValueError
    return typed


def _is_like_stored(value: Decimal) -> bool:
    """By its digits alone: reckoning with 1E+9999999 raises, or writes all of them."""
    exponent = value.as_tuple().exponent
    most = ExactDecimal.MAX_PRECISION
    return isinstance(exponent, int) and exponent >= -most and value.adjusted() < most


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(UtcDatetime if kind is datetime else kind, config=ConfigDict(allow_inf_nan=False))
