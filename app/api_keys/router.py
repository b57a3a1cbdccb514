"""API keys: make, list, read and revoke them. A signed-in session does, never a key."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query, Request

from app.api_keys.dependencies import ApiKeyRow, KeyMaker, OwnedApiKey
from app.api_keys.models import ApiKey, new_key
from app.api_keys.schemas import ApiKeyCreate, ApiKeyQuery, ApiKeyResponse, NewApiKeyResponse
from app.api_keys.tasks import send_key_made
from app.auth.dependencies import SessionUser
from app.core import audit
from app.core.database import DbSession, PrimaryReadSession, Row
from app.core.jobs import enqueue
from app.core.ownership import visible_to
from app.core.pagination import Page
from app.core.policy import shows_a_secret
from app.core.rate_limit import RateLimit
from app.core.routing import Router
from app.core.security import hash_token

router = Router(prefix="/api-keys", tags=["api keys"])


async def _maker(user: KeyMaker) -> int:
    return user.id


# Each is told by a mail. In a function, it is parsed at the first request: at the start it would be 3 % of that.
LIMITED_BY_USER = Depends(RateLimit(lambda _: "20/hour", by=_maker))


@router.post("", status_code=201, response_model=NewApiKeyResponse, dependencies=[LIMITED_BY_USER])
@shows_a_secret
async def create_api_key(body: ApiKeyCreate, user: KeyMaker, request: Request, db: DbSession) -> NewApiKeyResponse:
    """Make a key that acts as you; this answer is the only one that shows it."""
    prefix, key = new_key()
    row = ApiKey(user_id=user.id, prefix=prefix, key_hash=hash_token(key), **body.model_dump())
    db.add(row)
    await db.flush()
    enqueue(db, send_key_made, key_id=row.id)
    audit.record(
        db, request, "api_key_made", user_id=user.id, session_id=user.session_id, key_id=row.id, scope=row.scope
    )
    return NewApiKeyResponse(**ApiKeyResponse.model_validate(row).model_dump(), key=key)


@router.get("", response_model=list[ApiKeyResponse])
async def list_api_keys(
    query: Annotated[ApiKeyQuery, Query()], user: SessionUser, read: PrimaryReadSession, page: Page
) -> Sequence[Row]:
    """List your keys; superusers see everybody's."""
    return await page.fetch(read, visible_to(user, ApiKey), query)


@router.get("/{key_id}", response_model=ApiKeyResponse)
async def get_api_key(key: ApiKeyRow) -> Row:
    """Read what is known of one key."""
    return key


@router.delete("/{key_id}", status_code=204)
async def revoke_api_key(key: OwnedApiKey, user: SessionUser, request: Request, db: DbSession) -> None:
    """Revoke one key: it is dead at once."""
    await db.delete(key)
    audit.record(db, request, "api_key_revoked", user_id=key.user_id, actor_id=user.id, key_id=key.id)
