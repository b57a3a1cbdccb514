"""Idempotency-Key on POST: however often a request is repeated, it is done once and answered alike.

The answer is stored in the endpoint's own transaction, under the caller and the key. Of N racing repeats one commits;
the unique key rolls the others back, and they are given the first one's answer.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import ExactString, LongText
from app.core.database import Base, Reader, utcnow
from app.core.errors import Invalid
from app.core.retries import Handler

HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key gets the first answer, and nothing is done twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

Function = TypeVar("Function", bound=Callable[..., Any])


def shows_a_secret(endpoint: Function) -> Function:
    """Say of a POST that its answer shows a secret: it is stored nowhere, so the route takes no Idempotency-Key."""
    endpoint.shows_a_secret = True  # ty: ignore[missing-attribute]
    return endpoint


def may_be_stored(endpoint: Any) -> bool:
    return not getattr(endpoint, "shows_a_secret", False)


class IdempotencyKey(Base):
    """The first answer to a POST that carried a key."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(ExactString(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


class Repeated(Exception):
    """The request was answered before; `answer` is what it heard then."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


async def refuse_repeated(request: Request, user_id: int, read: Reader) -> None:
    """Called as soon as the caller is known; does nothing where answers are not stored.

    Raises:
        Repeated: the caller sent this request before.
        Invalid: the key is not one, or was sent with another request.
    """
    if not getattr(request.state, "is_answered_once", False):
        return
    key = request.headers[HEADER]
    if not _KEY.fullmatch(key):
        raise Invalid("header", "Idempotency-Key", "Must be 1 to 255 visible ASCII characters")
    statement = select(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
    first = await read.one(statement)
    if first is None:
        return
    if first.fingerprint != await _fingerprint(request):
        raise Invalid("header", "Idempotency-Key", "Was used with another request")
    raise Repeated(Response(first.body, first.status, media_type="application/json"))


async def answer_once(handle: Handler, request: Request) -> Response:
    """The handler's answer, stored with its writes; or the first answer, when this is a repeat."""
    request.state.is_answered_once = True
    try:
        response = await handle(request)
        if _is_transaction(request) and response.status_code < 300:
            await _store(request, response)
        return response
    except Repeated as repeated:
        return repeated.answer
    except Exception:
        # It may have failed because a repeat of it was faster: the row that it would make is there already.
        if not _is_transaction(request):
            raise
        db: AsyncSession = request.state.db
        await db.rollback()
        try:
            await refuse_repeated(request, request.state.user_id, request.app.state.database.read)
        except Repeated as repeated:
            return repeated.answer
        raise


def _is_transaction(request: Request) -> bool:
    return hasattr(request.state, "user_id") and hasattr(request.state, "db")


async def _store(request: Request, response: Response) -> None:
    """Raises IntegrityError when a repeat committed first."""
    db: AsyncSession = request.state.db
    db.add(
        IdempotencyKey(
            user_id=request.state.user_id,
            key=request.headers[HEADER],
            fingerprint=await _fingerprint(request),
            status=response.status_code,
            body=bytes(response.body).decode(),
        )
    )
    await db.flush()


async def _fingerprint(request: Request) -> str:
    parts = (request.method.encode(), request.url.path.encode(), await request.body())
    return sha256(b"\0".join(parts)).hexdigest()
