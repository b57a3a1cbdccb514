"""Accounts in the admin: changed and deleted by the API's own functions, so that the same rules hold."""

from typing import Any

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.auth.schemas import UserResponse
from app.core.admin.views import EntityView
from app.core.database import transaction
from app.core.routing import Precondition
from app.users.dependencies import get_account, get_locked_account
from app.users.router import delete_user, update_user
from app.users.schemas import UserQuery, UserUpdate


class AccountView(EntityView, model=User):
    """Nothing of a password or a second factor is in its schemas, and so on its pages."""

    name, name_plural = "Account", "Accounts"
    icon = "fa-solid fa-user"
    can_create = False
    update_schema, response_schema, query_schema = UserUpdate, UserResponse, UserQuery

    async def change(self, request: Request, pk: str, body: BaseModel) -> Any:
        assert isinstance(body, UserUpdate)
        async with transaction(request) as db:
            account = await self._locked(db, request, pk)
            return await update_user(account, body, request.state.admin_user, request, db)

    async def remove(self, request: Request, pk: str) -> None:
        async with transaction(request) as db:
            await delete_user(await self._locked(db, request, pk), request.state.admin_user, request, db)

    async def _locked(self, db: AsyncSession, request: Request, pk: str) -> User:
        known = await get_account(self._key(pk), request.state.admin_user, request.app.state.database.read)
        return await get_locked_account(known, db, Precondition(None))
