"""What superusers can ask and change of accounts."""

from pydantic import StrictBool

from app.core.pagination import ListQuery
from app.core.schemas import RequestSchema, unchanged


class UserUpdate(RequestSchema):
    is_active: StrictBool = unchanged()
    is_superuser: StrictBool = unchanged()


class UserQuery(ListQuery):
    sortable = ("id", "email", "created_at")
    searchable = ("email",)

    is_active: bool | None = None
    is_superuser: bool | None = None
