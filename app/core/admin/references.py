"""What a row refers to: whether it is there, whose a new row is, and what it stands below."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError
from sqlalchemy import Column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Base, can_be_id
from app.core.errors import Invalid
from app.core.schemas import normalize_email

OWNER = "user_id"
LONGEST_ID = 19  # digits of a BIGINT: Python reads no text of more than 4300


def placed_by(model: Any, schema: type[BaseModel]) -> list[str]:
    """The columns that say whose a new row is and below what, which the API takes from the token and the path."""
    columns = [
        column.name
        for column in model.__table__.columns
        if column.foreign_keys and column.name not in schema.model_fields
    ]
    parents = [name for name in columns if name != OWNER]
    return parents or columns  # what stands below a row is its owner's


async def place(db: AsyncSession, model: Any, typed: Mapping[str, str]) -> dict[str, int]:
    """The values of those columns. Raises Invalid for what is not there."""
    found: dict[str, int] = {}
    columns = model.__table__.columns
    for name, text in typed.items():
        row = await _find(db, columns[name], text.strip())
        if row is None:
            raise Invalid("body", name, "There is none")
        found[name] = row.id
        if name != OWNER and OWNER in columns:
            found[OWNER] = row.user_id
    return found


async def require(db: AsyncSession, model: Any, values: dict[str, Any]) -> None:
    """Raises Invalid when one of the values refers to nothing."""
    for name, value in values.items():
        column = model.__table__.columns[name]
        if column.foreign_keys and value is not None and await _find(db, column, str(value)) is None:
            raise Invalid("body", name, "There is none")


async def _find(db: AsyncSession, column: Column[Any], text: str) -> Any:
    (key,) = column.foreign_keys
    table = key.column.table
    is_id = text.isdecimal() and len(text) <= LONGEST_ID and can_be_id(int(text))
    wanted = table.c.id == int(text) if is_id else None
    if wanted is None and table is Base.metadata.tables["users"]:
        try:
            wanted = table.c.email == normalize_email(text)
        except PydanticCustomError:
            return None
    if wanted is None:
        return None
    columns = [table.c[name] for name in ("id", OWNER) if name in table.c]
    return (await db.execute(select(*columns).where(wanted))).one_or_none()
