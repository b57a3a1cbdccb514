"""The tables are the ones that were asked for, and no migration is missing."""

from datetime import datetime

import pytest
from sqlalchemy import Boolean, Integer, String
from sqlalchemy.dialects import sqlite

from app.auth.models import User
from app.core.columns import ExactString, LongText, UTCDateTime
from app.core.database import Base
from app.examples.models import ExampleItem

USERS = {
    "id": (Integer, False),
    "email": (ExactString, False),
    "hashed_password": (String, False),
    "is_active": (Boolean, False),
    "is_superuser": (Boolean, False),
    "created_at": (UTCDateTime, False),
}
EXAMPLE_ITEMS = {
    "id": (Integer, False),
    "user_id": (Integer, False),
    "title": (String, False),
    "description": (LongText, True),
    "is_completed": (Boolean, False),
    "created_at": (UTCDateTime, False),
    "updated_at": (UTCDateTime, False),
}


@pytest.mark.parametrize(("model", "columns"), [(User, USERS), (ExampleItem, EXAMPLE_ITEMS)])
def test_a_table_has_its_columns_in_order(model: type[Base], columns: dict[str, tuple[type, bool]]) -> None:
    table = Base.metadata.tables[model.__tablename__]
    found = [column for column in table.columns if column.name in columns]
    assert [column.name for column in found] == list(columns)
    for column in found:
        kind, nullable = columns[column.name]
        assert isinstance(column.type, kind)
        assert column.nullable is nullable


def test_the_indexes_have_their_names() -> None:
    indexes = {index.name: index for table in Base.metadata.tables.values() for index in table.indexes}
    assert indexes["idx_users_email"].unique
    assert [column.name for column in indexes["idx_example_items_user_id"].columns] == ["user_id", "id"]


def test_everything_that_belongs_to_a_user_goes_with_it() -> None:
    keys = [key for table in Base.metadata.tables.values() for key in table.foreign_keys]
    assert {key.parent.table.name for key in keys} >= {"example_items", "auth_sessions", "idempotency_keys"}
    assert {key.ondelete for key in keys if key.column.table.name == "users"} == {"CASCADE"}
    assert all((key.ondelete == "SET NULL") == bool(key.parent.nullable) for key in keys)


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        UTCDateTime().process_bind_param(datetime(2026, 1, 2), sqlite.dialect())  # noqa: DTZ001 - the point
