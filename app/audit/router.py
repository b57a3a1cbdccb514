"""The audit trail: superusers read it, and nobody changes it."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from sqlalchemy import select

from app.audit.schemas import AuditEventResponse, AuditQuery
from app.auth.dependencies import Superuser
from app.core.audit import AuditEvent
from app.core.database import ReadSession, Row
from app.core.pagination import Page
from app.core.routing import Router

router = Router(prefix="/audit", tags=["audit"])


@router.get("", response_model=list[AuditEventResponse])
async def list_audit_events(
    query: Annotated[AuditQuery, Query()], _: Superuser, read: ReadSession, page: Page
) -> Sequence[Row]:
    """What happened to accounts, the newest first."""
    return await page.fetch(read, select(AuditEvent), query)
