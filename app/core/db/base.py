"""The base of all models, and the range of ids."""

from datetime import datetime
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from app.core.columns import UTCDateTime

# The largest value of an INTEGER column on PostgreSQL and MySQL; no row has a larger id.
MAX_INTEGER = 2**31 - 1
MAX_BIG_INTEGER = 2**63 - 1


def can_be_id(value: object, largest: int = MAX_INTEGER) -> bool:
    """Whether a column could hold it: PostgreSQL's driver refuses to ask for an integer that none can."""
    return not isinstance(value, int) or 0 < value <= largest


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "idx_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime()}
    __table_args__: Any = {"sqlite_autoincrement": True}  # an id is never given out twice
