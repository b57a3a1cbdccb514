"""API keys: the row, and the form of a key itself."""

import re
import secrets
from datetime import datetime

from sqlalchemy import String, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import ExactString
from app.core.database import Base, utcnow
from app.core.ownership import BelongsToUser
from app.core.security import new_token

MAX_NAME_LENGTH = 100

SCOPES = READ, WRITE = "read", "write"

# What a key begins with: no JWT does, and scanners find one that was published.
MARK = "gw_"
_PREFIX_BYTES = 8
_KEY = re.compile(rf"{MARK}([0-9a-f]{{{2 * _PREFIX_BYTES}}})_[A-Za-z0-9_-]{{43}}")


class ApiKey(BelongsToUser, Base):
    """A key that acts as its user while this row is there and has not expired."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-2)
    name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    scope: Mapped[str] = mapped_column(String(10))
    prefix: Mapped[str] = mapped_column(ExactString(2 * _PREFIX_BYTES), unique=True, index=True)
    key_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    last_used_at: Mapped[datetime | None]


def new_key() -> tuple[str, str]:
    """A key's prefix, by which its row is found, and the whole key with 256 random bits of secret."""
    prefix = secrets.token_hex(_PREFIX_BYTES)
    return prefix, f"{MARK}{prefix}_{new_token()}"


def is_key(token: str) -> bool:
    return token.startswith(MARK)


def prefix_of(key: str) -> str | None:
    """The prefix of what has the form of a key, else None."""
    match = _KEY.fullmatch(key)
    return match and match[1]


async def revoke_keys(db: AsyncSession, user_id: int) -> None:
    """Revoke all of a user's keys; they are dead when the transaction commits."""
    await db.execute(delete(ApiKey).where(ApiKey.user_id == user_id))
