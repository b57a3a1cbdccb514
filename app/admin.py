"""The registry of /admin: one line an entity, sorted. It is read at the first request to /admin, by no start."""

from app.audit.admin import AuditView
from app.core.admin.registry import Registry
from app.examples.models import ExampleItem
from app.users.admin import AccountView

admin = Registry()
admin.add(AccountView)
admin.add(AuditView)
admin.add(ExampleItem)
