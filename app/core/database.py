"""The database: the models' base, and the two kinds of session.

Choosing a session is choosing a database: `DbSession` is a transaction on the primary, `ReadSession` reads.
"""

from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.columns import utcnow
from app.core.db.base import MAX_BIG_INTEGER, MAX_INTEGER, Base, can_be_id
from app.core.db.reads import AnySelect, Row
from app.core.db.session import (
    Database,
    Reader,
    close_in_time,
    get_db,
    get_primary_read_db,
    get_read_db,
    rows_changed,
    transaction,
)

__all__ = [
    "MAX_BIG_INTEGER",
    "MAX_INTEGER",
    "AnySelect",
    "Base",
    "Database",
    "DbSession",
    "PrimaryReadSession",
    "ReadSession",
    "Reader",
    "Row",
    "can_be_id",
    "close_in_time",
    "get_db",
    "rows_changed",
    "transaction",
    "utcnow",
]

DbSession = Annotated[AsyncSession, Depends(get_db)]
ReadSession = Annotated[Reader, Depends(get_read_db)]
# For what decides who is signed in and what they may do: no replica is asked, however close it follows.
PrimaryReadSession = Annotated[Reader, Depends(get_primary_read_db)]
