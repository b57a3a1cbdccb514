"""What the API key endpoints take and answer; the key itself is in one answer only."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.api_keys.models import MAX_NAME_LENGTH, READ
from app.core.database import utcnow
from app.core.pagination import OwnedQuery
from app.core.schemas import RequestSchema, RowSchema, UtcDatetime

MAX_LIFETIME = timedelta(days=366)

Scope = Literal["read", "write"]


def _soon(value: datetime) -> datetime:
    if not timedelta(0) < value - utcnow() <= MAX_LIFETIME:
        raise PydanticCustomError("expiry", "Must be in the future, within {days} days", {"days": MAX_LIFETIME.days})
    return value


class ApiKeyCreate(RequestSchema):
    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    scope: Scope = Field(READ, description="read: GET only; write: everything that you may")
    expires_at: Annotated[UtcDatetime, AfterValidator(_soon)] | None = Field(
        None, description=f"Within {MAX_LIFETIME.days} days; null: never"
    )


class ApiKeyResponse(RowSchema):
    id: int
    user_id: int
    name: str
    scope: Scope
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewApiKeyResponse(ApiKeyResponse):
    key: str = Field(description="Shown this once: keep it")


class ApiKeyQuery(OwnedQuery):
    sortable = ("id", "name", "created_at", "expires_at", "last_used_at")
    searchable = ("name",)

    scope: Scope | None = None
