"""The cache, as features use it: `AppCache` loads values through it, `forget` invalidates them after a commit."""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.caching.bounded import make_room
from app.core.caching.service import Cache
from app.core.db.changes import Change, note

__all__ = ["AppCache", "Cache", "forget", "make_room"]


def forget(db: AsyncSession, name: str, owner: int | None = None) -> None:
    """Have what is remembered under the name forgotten after this transaction's commit: the owner's, or everybody's."""
    note(db.sync_session, Change("update", name, owner))


async def _cache(request: Request) -> Cache:
    return request.app.state.cache


AppCache = Annotated[Cache, Depends(_cache)]
