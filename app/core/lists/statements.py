"""The statements of lists' pages, built once for each entity, order and set of filters.

Building a page's statement and looking for its plan costs a fifth of a list. A statement that
`visible_to` returned and no endpoint has narrowed differs between requests in its values only.
"""

from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from weakref import ref

from sqlalchemy import ColumnElement, Integer, Select, bindparam, select

from app.core.db.reads import AnySelect, Row

SCOPE = "view_scope"
Model = TypeVar("Model")
OWNER, LIMIT = "_owner", "_limit"  # no field's name begins so


class ViewScope:
    """The rows of a model that a caller may see: the owner's where `owner_id` is set, else all.

    An execution option of the statement that selects them. Statements that are derived from it carry it too, so it
    refers to its own.
    """

    def __init__(self, model: Any, caller: Any, owner_id: int | None) -> None:
        self.model = model
        self.caller = caller
        self.owner_id = owner_id
        self._statement: ref[AnySelect] | None = None

    def of(self, statement: Select[Model]) -> Select[Model]:
        statement = statement.execution_options(**{SCOPE: self})
        self._statement = ref(statement)
        return statement

    def is_whole(self, statement: AnySelect) -> bool:
        """Whether the statement selects exactly these rows."""
        return self._statement is not None and self._statement() is statement


class Listed(NamedTuple):
    """A page of a list: its rows, whether there are more, and how many in all where that was asked for."""

    rows: list[Row]
    has_more: bool
    total: int | None


class After(NamedTuple):
    """The rows after a place in an order; the condition is the same object wherever the values alone differ."""

    condition: ColumnElement[bool]
    values: dict[str, Any]


def page_statement(
    statement: AnySelect, filters: dict[str, Any], order: tuple[Any, ...], after: After | None, limit: int
) -> tuple[AnySelect, dict[str, Any]] | None:
    """The page's statement and its values, when the statement is as `visible_to` gave it."""
    scope: ViewScope | None = statement.get_execution_options().get(SCOPE)
    if scope is None or not scope.is_whole(statement):
        return None
    condition, place = after or (None, {})
    page = _build(scope.model, scope.owner_id is not None, tuple(filters), condition, order)
    owner = {} if scope.owner_id is None else {OWNER: scope.owner_id}
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
