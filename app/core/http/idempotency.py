"""Idempotency-Key on POST: a repeated request is done once and gets the first response.

The response is stored in the endpoint's own transaction, under the caller and the key. Of N racing repeats one commits;
the unique key rolls the others back, and they get the first one's response.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
import re
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import ForeignKey, String, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import ExactString, LongText
from app.core.database import Base, utcnow
from app.core.errors import Invalid
from app.core.http.transactions import Handler

HEADER = "idempotency-key"
REFUSED = (401, 403, 429)  # by who sends the request, or how often: a stored response must not be given instead
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key gets the first answer, and nothing is done twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class IdempotencyKey(Base):
    """The first response to a POST that carried a key."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(ExactString(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(LongText)  # in base64 where `headers` is set
    headers: Mapped[str | None] = mapped_column(Text)  # JSON, pairs; NULL: JSON in UTF-8, from an earlier version
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


FIRST = select(IdempotencyKey).where(
    IdempotencyKey.user_id == bindparam("user_id"), IdempotencyKey.key == bindparam("key")
)


class Repeated(Exception):
    def __init__(self, first: Response) -> None:
        self.first = first


async def refuse_repeated(request: Request) -> None:
    """Called when the sender is known.

    Raises:
        Repeated: the request was answered before.
        Invalid: the key belongs to another request.
    """
    if hasattr(request.state, "db") and (first := await _first(request)) is not None:
        raise Repeated(first)


async def run_idempotent(handle: Handler, request: Request) -> Response:
    """The handler's response, stored with its writes; or the first response, when this is a repeat.

    A response that is streamed is passed through and not stored.

    Raises:
        Invalid: the key is malformed, or was used with another request.
    """
    if not _KEY.fullmatch(request.headers[HEADER]):
        raise Invalid("header", "Idempotency-Key", "Must be 1 to 255 visible ASCII characters")
    db: AsyncSession = request.state.db
    try:
        response = await handle(request)
        if response.status_code < 300 and hasattr(response, "body") and hasattr(request.state, "user_id"):
            await _store(db, request, response)
    except Repeated as repeated:
        return repeated.first
    except Exception as error:
        if not hasattr(request.state, "user_id") or getattr(error, "status_code", 0) in REFUSED:
            raise
        await db.rollback()
        first = await _first(request)
        if first is None:
            raise
        return first
    return response


async def _first(request: Request) -> Response | None:
    """The stored response of this key. Raises Invalid when it belongs to another request."""
    row = await request.app.state.database.read.one(FIRST, user_id=request.state.user_id, key=request.headers[HEADER])
    if row is None:
        return None
    if row.fingerprint != await _fingerprint(request):
        raise Invalid("header", "Idempotency-Key", "Was used with another request")
    if row.headers is None:
        return Response(row.body, row.status, media_type="application/json")
    response = Response(b64decode(row.body), row.status)
    response.raw_headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(row.headers)
    ]
    return response


async def _store(db: AsyncSession, request: Request, response: Response) -> None:
    """Raises IntegrityError when the key is taken."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
    db.add(
        IdempotencyKey(
            user_id=request.state.user_id,
            key=request.headers[HEADER],
            fingerprint=await _fingerprint(request),
            status=response.status_code,
            body=b64encode(response.body).decode(),
            headers=json.dumps(headers),
        )
    )
    await db.flush()


async def _fingerprint(request: Request) -> str:
    parts = (request.method.encode(), request.url.path.encode(), await request.body())
    return sha256(b"\0".join(parts)).hexdigest()
