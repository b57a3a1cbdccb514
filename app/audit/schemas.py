"""The audit trail, as superusers read it."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from app.core.audit import Event
from app.core.database import MAX_INTEGER
from app.core.pagination import ListQuery
from app.core.schemas import RowSchema


class AuditEventResponse(RowSchema):
    id: int
    event: str
    user_id: int | None
    actor_id: int | None
    session_id: uuid.UUID | None
    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    details: dict[str, Any]
    created_at: datetime


class AuditQuery(ListQuery):
    sort: str | None = Field("-id", max_length=200)
    event: Event | None = None
    user_id: int | None = Field(None, ge=1, le=MAX_INTEGER, description="The account that it is about")
    actor_id: int | None = Field(None, ge=1, le=MAX_INTEGER, description="Who did it to another's account")
