"""Accounts, as superusers see and change them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Request
from sqlalchemy import select

from app.api_keys.models import revoke_keys
from app.auth.dependencies import Superuser
from app.auth.models import User, end_sessions, keep_a_superuser
from app.auth.schemas import UserResponse
from app.core import audit
from app.core.database import DbSession, ReadSession, Row
from app.core.pagination import Page
from app.core.routing import Router
from app.users.dependencies import AccountRow, LockedAccount
from app.users.schemas import UserQuery, UserUpdate

router = Router(prefix="/users", tags=["users"])


@router.get("", response_model=list[UserResponse])
async def list_users(
    query: Annotated[UserQuery, Query()], _: Superuser, read: ReadSession, page: Page
) -> Sequence[Row]:
    """All accounts."""
    return await page.fetch(read, select(User), query)


@router.get("/{user_id}", response_model=UserResponse)
async def get_user(account: AccountRow) -> Row:
    """One account."""
    return account


@router.patch("/{user_id}", response_model=UserResponse)
async def update_user(
    account: LockedAccount, body: UserUpdate, actor: Superuser, request: Request, db: DbSession
) -> User:
    """Activate or deactivate an account, make or unmake a superuser; a deactivated one loses its sessions and keys."""
    body.apply_to(account)
    await keep_a_superuser(db)
    if not account.is_active:
        await end_sessions(db, account.id)
        await revoke_keys(db, account.id)
    changes = body.model_dump(exclude_unset=True)
    audit.record(db, request, "account_changed", user_id=account.id, actor_id=actor.id, **changes)
    return account


@router.delete("/{user_id}", status_code=204)
async def delete_user(account: LockedAccount, actor: Superuser, request: Request, db: DbSession) -> None:
    """Delete an account and everything that belongs to it."""
    await db.delete(account)
    await keep_a_superuser(db)
    audit.record(db, request, "account_deleted", user_id=account.id, actor_id=actor.id)


@router.delete("/{user_id}/sessions", status_code=204)
async def end_users_sessions(account: LockedAccount, actor: Superuser, request: Request, db: DbSession) -> None:
    """Sign all devices of an account out."""
    await end_sessions(db, account.id)
    audit.record(db, request, "signed_out", user_id=account.id, actor_id=actor.id, sessions="all")
