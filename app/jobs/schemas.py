"""Jobs, as superusers see them."""

from datetime import datetime
from typing import Any, Literal

from app.core.pagination import ListQuery
from app.core.schemas import RowSchema

State = Literal["waiting", "sent", "running", "done", "dead"]


class JobResponse(RowSchema):
    id: int
    task: str
    arguments: dict[str, Any]
    key: str
    state: State
    attempts: int
    due_at: datetime | None
    error: str | None
    request_id: str | None
    created_at: datetime
    finished_at: datetime | None


class JobQuery(ListQuery):
    sortable = ("id", "created_at", "due_at", "finished_at")

    sort: str | None = "-id"
    state: State | None = None
    task: str | None = None
