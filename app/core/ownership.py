"""Who may see and touch a row: its owner and superusers. The only implementation of the rule.

| resource | own | others' | superuser |
| view, update, delete | yes | 403 | yes |

A model with `public_read = True` may be viewed by everybody; one without an owner is the superusers'.
"""

import re
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import ForeignKey, Index, Select, Table, bindparam, false, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import same_as_created
from app.core.database import MAX_INTEGER, Reader, Row, utcnow
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.lists.statements import ViewScope
from app.core.policy import Caller


class Guarded:
    """A row that not everybody may see."""

    public_read: ClassVar[bool] = False
    cached_for: ClassVar[float | None] = None  # seconds that what a caller reads is remembered, unless it is changed

    if TYPE_CHECKING:
        id: Any  # each model's own


class BelongsToUser(Guarded):
    """A row with an owner; it goes when its user goes."""

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True, sort_order=-1)


class Entity(Guarded):
    """The columns of every entity. Without an owner its rows are the superusers'."""

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-2)
    created_at: Mapped[datetime] = mapped_column(default=utcnow, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=same_as_created, onupdate=utcnow, sort_order=2)


class Owned(BelongsToUser, Entity):
    """The columns of an entity that belongs to a user, and the index in which a list of them finds its next page."""

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), sort_order=-1)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table: Table = cls.__table__  # ty: ignore[missing-attribute]
        Index(f"idx_{table.name}_user_id", table.c.user_id, table.c.id)


Model = TypeVar("Model", bound=Guarded)


def visible_to(caller: Caller | None, model: type[Model]) -> Select[Model]:
    """The rows that the caller may see; None is whoever has not signed in."""
    statement = select(model)
    if model.public_read or (caller is not None and caller.is_superuser):
        return ViewScope(model, caller, None).of(statement)
    if caller is None or not issubclass(model, BelongsToUser):
        return statement.where(false())
    return ViewScope(model, caller, caller.id).of(statement.where(model.user_id == caller.id))


async def read_row(read: Reader, model: type[Guarded], row_id: Any, caller: Caller | None, **parent: Any) -> Row:
    """The row, to read. `parent` is the column that says what it stands below, and the id there: `item_id=7`.

    Raises:
        NotFound: there is none.
        Forbidden: the caller may not see it.
    """

    if model.cached_for:
        from app.core.caching.rows import remember_row

        load = partial(_load, model, row_id, caller, parent)
        row = await remember_row(read, model, caller, f"{row_id} {parent}", load)
        if not model.public_read:
            require_owner(caller, row)
        return row
    return await _load(model, row_id, caller, parent, read)


async def _load(model: type[Guarded], row_id: Any, caller: Caller | None, parent: dict[str, Any], read: Reader) -> Row:
    row = await read.one(_by_id(model, *parent), id=row_id, **parent) if _can_be(row_id, parent) else None
    if row is None:
        raise _not_found(model)
    if not model.public_read:
        require_owner(caller, row)
    return row


async def lock_row(db: AsyncSession, model: type[Model], row_id: Any, caller: Caller, **parent: Any) -> Model:
    """The row, to change or delete: nobody else changes it before this transaction ends.

    Raises:
        NotFound: there is none.
        Forbidden: it is another's.
    """
    values = {"id": row_id, **parent}
    row = (await db.scalars(_locked(model, *parent), values)).one_or_none() if _can_be(row_id, parent) else None
    if row is None:
        raise _not_found(model)
    require_owner(caller, row)
    return row


def require_owner(caller: Caller | None, row: Any) -> None:
    """Raises Forbidden when the row is neither the caller's nor the caller a superuser."""
    is_own = caller is not None and getattr(row, "user_id", None) == caller.id
    if not is_own and not (caller is not None and caller.is_superuser):
        raise Forbidden("Not authorized to access this resource")


async def require_visible(db: AsyncSession, caller: Caller, model: type[Guarded], **references: int | None) -> None:
    """One may only refer to what one may see: `project_id=body.project_id`. None refers to nothing.

    Raises:
        Invalid: there is no such row, or not for the caller; which of the two is not told.
    """
    for field, row_id in references.items():
        if row_id is not None:
            found = await db.scalar(visible_to(caller, model).where(model.id == row_id).with_only_columns(model.id))
            if found is None:
                raise Invalid("body", field, f"{_words(model.__name__)} not found", "reference")


# Built once for each entity: a tenth of what a read costs is in building its statement.
@cache
def _by_id(model: type[Model], *parents: str) -> Select[Model]:
    columns = [getattr(model, name) for name in ("id", *parents)]
    return select(model).where(*(column == bindparam(column.key) for column in columns))


@cache
def _locked(model: type[Model], *parents: str) -> Select[Model]:
    return _by_id(model, *parents).with_for_update()


def _can_be(row_id: Any, parent: dict[str, Any]) -> bool:
    """Whether the columns could hold them: PostgreSQL's driver refuses to ask for an integer that none can."""
    return all(not isinstance(value, int) or 0 < value <= MAX_INTEGER for value in (row_id, *parent.values()))


def _not_found(model: type[Any]) -> NotFound:
    return NotFound(f"{_words(model.__name__)} not found")


def _words(name: str) -> str:
    """`ExampleItem` in words: `Example item`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()
