"""The API key that a request is about, if the caller may have it; and whoever may make another."""

from typing import Annotated

from fastapi import Depends
from sqlalchemy import func, select

from app.api_keys.models import ApiKey
from app.api_keys.schemas import ApiKeyResponse
from app.auth.dependencies import CurrentUser, Identity, SessionUser
from app.auth.models import AuthSession, User
from app.core.database import DbSession, PrimaryReadSession, Row
from app.core.errors import Conflict, Unauthorized
from app.core.ownership import lock_row, read_row
from app.core.routing import IfMatch

MAX_KEYS = 50


async def get_key(key_id: int, user: SessionUser, read: PrimaryReadSession) -> Row:
    return await read_row(read, ApiKey, key_id, user)


async def get_owned_key(key_id: int, user: SessionUser, db: DbSession, if_match: IfMatch) -> ApiKey:
    key = await lock_row(db, ApiKey, key_id, user)
    if_match.check(ApiKeyResponse, key)
    return key


async def get_key_maker(user: SessionUser, _: CurrentUser, db: DbSession) -> Identity:
    """The caller, locked, who has room for one more key, expired ones counted: else each could have any number."""
    await db.execute(select(User.id).where(User.id == user.id).with_for_update())
    # A key outlives its session: one that was being signed out when this request came must not leave a key behind.
    if await db.scalar(select(AuthSession.id).where(AuthSession.id == user.session_id)) is None:
        raise Unauthorized("The session has ended")
    keys = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id)
    if (await db.scalar(keys) or 0) >= MAX_KEYS:
        raise Conflict(f"You have {MAX_KEYS} API keys, and no more are allowed: delete one first")
    return user


ApiKeyRow = Annotated[Row, Depends(get_key)]
OwnedApiKey = Annotated[ApiKey, Depends(get_owned_key)]
KeyMaker = Annotated[Identity, Depends(get_key_maker)]
