"""The audit trail in the admin: to read."""

from app.audit.schemas import AuditEventResponse, AuditQuery
from app.core.admin.views import EntityView
from app.core.audit import AuditEvent


class AuditView(EntityView, model=AuditEvent):
    name, name_plural = "Event", "Audit trail"
    icon = "fa-solid fa-clock-rotate-left"
    can_create = can_edit = can_delete = False
    response_schema, query_schema = AuditEventResponse, AuditQuery
    column_list = ["id", "event", "user_id", "actor_id", "ip_address", "details", "created_at"]
    column_labels = {"user_id": "Account", "actor_id": "Done by"}
    column_searchable_list = ["event", "user_id"]
