"""What the item endpoints take and answer."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StrictBool

from app.core.pagination import OwnedQuery
from app.core.schemas import RequestSchema, RowSchema, unchanged

Title = Annotated[str, Field(min_length=1, max_length=200)]


class ExampleItemCreate(RequestSchema):
    title: Title
    description: str | None = None
    is_completed: StrictBool = False


class ExampleItemUpdate(RequestSchema):
    title: Title = unchanged()
    description: str | None = unchanged()
    is_completed: StrictBool = unchanged()


class ExampleItemResponse(RowSchema):
    id: int
    user_id: int
    title: str
    description: str | None
    is_completed: bool
    created_at: datetime
    updated_at: datetime


class ExampleItemQuery(OwnedQuery):
    sortable = ("id", "title", "is_completed", "created_at", "updated_at")
    searchable = ("title", "description")

    is_completed: bool | None = None
