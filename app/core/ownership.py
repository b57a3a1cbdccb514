"""Who may see and touch a row: its owner and superusers. The only implementation of the rule.

| resource | own | others' | superuser |
| view, update, delete | yes | 403 | yes |
"""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import ForeignKey, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Reader, Row, can_be_id, utcnow
from app.core.errors import Forbidden, NotFound


def _created_at(context: Any) -> datetime:
    return context.get_current_parameters()["created_at"]


class BelongsToUser:
    """A row with an owner; it goes when its user goes."""

    if TYPE_CHECKING:
        id: Any  # each model's own

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True, sort_order=-1)


class Owned(BelongsToUser):
    """The columns of an entity that belongs to a user."""

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-2)
    created_at: Mapped[datetime] = mapped_column(default=utcnow, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=_created_at, onupdate=utcnow, sort_order=2)


class Caller(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def is_superuser(self) -> bool: ...


Model = TypeVar("Model", bound=BelongsToUser)


def visible_to(caller: Caller, model: type[Model]) -> Select[Model]:
    """The rows that the caller may see."""
    statement = select(model)
    return statement if caller.is_superuser else statement.where(model.user_id == caller.id)


async def read_row(read: Reader, model: type[BelongsToUser], row_id: Any, caller: Caller) -> Row:
    """The row, to read.

    Raises:
        NotFound: there is none.
        Forbidden: it is another's.
    """
    row = await read.one(select(model).where(model.id == row_id)) if can_be_id(row_id) else None
    return _checked(row, model, caller)


async def lock_row(db: AsyncSession, model: type[Model], row_id: Any, caller: Caller) -> Model:
    """The row, to change or delete: nobody else changes it before this transaction ends.

    Raises:
        NotFound: there is none.
        Forbidden: it is another's.
    """
    statement = select(model).where(model.id == row_id).with_for_update()
    row = (await db.scalars(statement)).one_or_none() if can_be_id(row_id) else None
    return _checked(row, model, caller)


def _checked(row: Any, model: type[Any], caller: Caller) -> Any:
    if row is None:
        raise NotFound(f"{_words(model.__name__)} not found")
    if not caller.is_superuser and row.user_id != caller.id:
        raise Forbidden("Not authorized to access this resource")
    return row


def _words(name: str) -> str:
    """`ExampleItem` in words: `Example item`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()
