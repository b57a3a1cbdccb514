"""Accounts and their sessions, and the two rules that hold for them wherever they are changed."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, String, Uuid, delete, false, select, true
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
    email_verified_at: Mapped[datetime | None]


class AuthSession(BelongsToUser, Base):
    """A device that is signed in. Its tokens are good while this row is there and has not expired."""

    __tablename__ = "auth_sessions"

    # Random, so that a database restored from a backup never gives a living token's id to somebody else.
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid4, sort_order=-2)
    user_agent: Mapped[str | None] = mapped_column(String(255))
    ip_address: Mapped[str | None] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_used_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RefreshToken(Base):
    """A token that a session can be refreshed with, once. The used ones stay: whoever sends one has stolen it, or the
    next one was stolen from them (RFC 9700, 4.14.2)."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(ExactString(64), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    used_at: Mapped[datetime | None]


class AccountToken(Base):
    """A token that was sent to an account's address, to be used once."""

    __tablename__ = "account_tokens"

    token_hash: Mapped[str] = mapped_column(ExactString(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(ExactString(255))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInChallenge(BelongsToUser, Base):
    """A sign-in whose password was right, and which waits for the second factor."""

    __tablename__ = "sign_in_challenges"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True, sort_order=-2)
    guesses: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime] = mapped_column(index=True)


async def end_sessions(db: AsyncSession, user_id: int, *, keep: UUID | None = None) -> None:
    """Sign a user's devices out, all but the one to keep; their tokens are dead when the transaction commits.

    A sign-in that waits for its second factor is over too: its password may be the old one.
    """
    await db.execute(delete(SignInChallenge).where(SignInChallenge.user_id == user_id))
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
