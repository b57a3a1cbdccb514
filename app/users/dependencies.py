"""The account that a superuser's request is about, to read or to change."""

from typing import Annotated

from fastapi import Depends
from sqlalchemy import select

from app.auth.dependencies import Superuser
from app.auth.models import User, lock_superusers
from app.auth.schemas import UserResponse
from app.core.database import DbSession, ReadSession, Row, can_be_id
from app.core.errors import NotFound
from app.core.routing import IfMatch


async def get_account(user_id: int, _: Superuser, read: ReadSession) -> Row:
    account = await read.one(select(User).where(User.id == user_id)) if can_be_id(user_id) else None
    if account is None:
        raise NotFound("User not found")
    return account


AccountRow = Annotated[Row, Depends(get_account)]


async def get_locked_account(known: AccountRow, db: DbSession, if_match: IfMatch) -> User:
    if known.is_superuser:
        await lock_superusers(db)
    account = await db.scalar(select(User).where(User.id == known.id).with_for_update())
    if account is None:
        raise NotFound("User not found")
    if_match.check(UserResponse, account)
    return account


LockedAccount = Annotated[User, Depends(get_locked_account)]
