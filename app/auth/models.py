"""Accounts and their sessions, and the two rules that hold for them wherever they are changed."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import String, Uuid, delete, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import ExactString
from app.core.database import Base, utcnow
from app.core.errors import Conflict
from app.core.ownership import BelongsToUser


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(ExactString(255), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_superuser: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class AuthSession(BelongsToUser, Base):
    """A device that is signed in. Its tokens are good while this row is there and has not expired."""

    __tablename__ = "auth_sessions"

    # Random, so that a database restored from a backup never gives a living token's id to somebody else.
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid4, sort_order=-2)
    refresh_token_hash: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(255))
    ip_address: Mapped[str | None] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)


async def end_sessions(db: AsyncSession, user_id: int, *, keep: UUID | None = None) -> None:
    """Sign a user's devices out, all but the one to keep; their tokens are dead when the transaction commits."""
    statement = delete(AuthSession).where(AuthSession.user_id == user_id)
    if keep is not None:
        statement = statement.where(AuthSession.id != keep)
    await db.execute(statement)


async def lock_superusers(db: AsyncSession) -> None:
    """Called before a superuser's row is locked: in one order, so that two who remove each other do not deadlock."""
    await db.execute(select(User.id).where(User.is_superuser).order_by(User.id).with_for_update())


async def keep_a_superuser(db: AsyncSession) -> None:
    """Called after a superuser was demoted, deactivated or deleted.

    Raises:
        Conflict: nobody is left who could administer the accounts.
    """
    await db.flush()
    if await db.scalar(select(User.id).where(User.is_superuser, User.is_active).limit(1)) is None:
        raise Conflict("The last superuser cannot be removed, demoted or deactivated")
