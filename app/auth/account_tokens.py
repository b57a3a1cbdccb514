"""Tokens that are sent to an account's address: stored hashed, good once, and for a while."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import AccountToken, User
from app.core.database import Database, Reader, Row, rows_changed, utcnow
from app.core.errors import Invalid
from app.core.security import hash_token, new_token

Purpose = Literal["reset", "verify"]

LIFETIMES = {"reset": timedelta(minutes=30), "verify": timedelta(days=2)}


async def issue(database: Database, user_id: int, email: str, purpose: Purpose) -> str:
    """A new token, committed before it is sent; those that the account had for the purpose are dead."""
    token = new_token()
    async with database.sessions.begin() as db:
        await end_account_tokens(db, user_id, purpose)
        expires_at = utcnow() + LIFETIMES[purpose]
        row = {"user_id": user_id, "purpose": purpose, "email": email, "expires_at": expires_at}
        db.add(AccountToken(token_hash=hash_token(token), **row))
    return token


async def find(read: Reader, token: str, purpose: Purpose) -> Row:
    """What a token is good for: `user_id`, and the `email` that it was sent to and that the account still has.

    Raises:
        Invalid: there is no such token, or it is used or expired, or the account is deactivated or has another address.
    """
    statement = (
        select(AccountToken.user_id, AccountToken.email)
        .join(User, User.id == AccountToken.user_id)
        .where(AccountToken.token_hash == hash_token(token), AccountToken.purpose == purpose)
        .where(AccountToken.expires_at > utcnow(), AccountToken.email == User.email, User.is_active)
    )
    row = await read.one(statement)
    if row is None:
        raise _invalid()
    return row


async def use(db: AsyncSession, token: str) -> None:
    """Of several who use one token at once one goes on. Raises Invalid for the others."""
    if await rows_changed(db, delete(AccountToken).where(AccountToken.token_hash == hash_token(token))) != 1:
        raise _invalid()


async def end_account_tokens(db: AsyncSession, user_id: int, purpose: Purpose) -> None:
    await db.execute(delete(AccountToken).where(AccountToken.user_id == user_id, AccountToken.purpose == purpose))


def _invalid() -> Invalid:
    return Invalid("body", "token", "Is no token, or is used or expired: ask for a new one")
