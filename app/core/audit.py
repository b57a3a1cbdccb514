"""The audit trail: who did what to which account, when and from where. Rows are added, and never changed or deleted.

There is no secret in it, and no address of anybody's but the network's. A row outlives the account that it is about.
"""

import uuid
from datetime import datetime
from typing import Any, Literal

from fastapi import Request
from sqlalchemy import JSON, BigInteger, Integer, String, Uuid
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.client import MAX_ADDRESS_LENGTH, client_address
from app.core.database import Base, utcnow
from app.core.observability.logs import request_id

Event = Literal[
    "registered",
    "signed_in",
    "sign_in_failed",
    "signed_out",
    "refresh_token_reused",
    "password_changed",
    "password_reset",
    "email_changed",
    "email_verified",
    "second_factor_on",
    "second_factor_off",
    "recovery_codes_renewed",
    "account_changed",
    "account_deleted",
    "api_key_made",
    "api_key_revoked",
    "row_created",
    "row_changed",
    "row_deleted",
]

MAX_USER_AGENT_LENGTH = 255


class AuditEvent(Base):
    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    event: Mapped[str] = mapped_column(String(50), index=True)
    user_id: Mapped[int | None] = mapped_column(index=True)  # whom it is about; no foreign key, so that it stays
    actor_id: Mapped[int | None]  # who did it; None is the account itself or nobody who is known
    session_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    ip_address: Mapped[str | None] = mapped_column(String(MAX_ADDRESS_LENGTH))
    user_agent: Mapped[str | None] = mapped_column(String(MAX_USER_AGENT_LENGTH))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


def record(
    db: AsyncSession,
    request: Request | None,
    event: Event,
    *,
    user_id: int | None,
    actor_id: int | None = None,
    session_id: uuid.UUID | None = None,
    **details: Any,
) -> None:
    """Write a row in the transaction of what happened; None for the request is the command line."""
    db.add(
        AuditEvent(
            event=event,
            user_id=user_id,
            actor_id=actor_id,
            session_id=session_id,
            ip_address=client_address(request) if request else None,
            user_agent=user_agent(request) if request else None,
            request_id=request_id.get(),
            details=details,
        )
    )


def user_agent(request: Request) -> str | None:
    header = request.headers.get("user-agent")
    return None if header is None else "".join(filter(str.isprintable, header))[:MAX_USER_AGENT_LENGTH]
