"""The statements of lists' pages, built once for each entity, order and set of filters.

Building a page's statement and looking for its plan costs a fifth of a list. What `visible_to` gave, and nobody has
narrowed since, differs from request to request in its values alone.
"""

from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Integer, Select, bindparam, select

from app.core.database import AnySelect

OWNER, LIMIT = "_owner", "_limit"  # no field's name begins so


class Visible(NamedTuple):
    """The rows of a model that a caller may see: its own where `owner_id` is set, else all."""

    model: Any
    owner_id: int | None


# By the statement itself: one that was made of it is another.
_visible: WeakKeyDictionary[AnySelect, Visible] = WeakKeyDictionary()


def note_visible(statement: AnySelect, model: Any, owner_id: int | None) -> None:
    _visible[statement] = Visible(model, owner_id)


class After(NamedTuple):
    """The rows after a place in an order; the condition is the same object wherever the values alone differ."""

    condition: ColumnElement[bool]
    values: dict[str, Any]


def page_statement(
    statement: AnySelect, filters: dict[str, Any], order: tuple[Any, ...], after: After | None, limit: int
) -> tuple[AnySelect, dict[str, Any]] | None:
    """The page's statement and its values, when the statement is as `visible_to` gave it."""
    visible = _visible.get(statement)
    if visible is None:
        return None
    condition, place = after or (None, {})
    page = _build(visible.model, visible.owner_id is not None, tuple(filters), condition, order)
    owner = {} if visible.owner_id is None else {OWNER: visible.owner_id}
    return page, {LIMIT: limit, **owner, **filters, **place}


@lru_cache(maxsize=200)
def _build(
    model: Any, is_owned: bool, filters: tuple[str, ...], after: ColumnElement[bool] | None, order: tuple[Any, ...]
) -> Select[Any]:
    statement = select(model)
    if is_owned:
        statement = statement.where(model.user_id == bindparam(OWNER))
    statement = statement.where(*(getattr(model, name) == bindparam(name) for name in filters))
    if after is not None:
        statement = statement.where(after)
    return statement.order_by(*order).limit(bindparam(LIMIT, type_=Integer))
