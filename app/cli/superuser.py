"""`app create-superuser`"""

import asyncio

from pydantic_core import PydanticCustomError
from sqlalchemy import select

from app.api_keys.models import revoke_keys
from app.auth.models import User, end_sessions
from app.auth.passwords import check_password
from app.cli.migrate import command_settings, migrated
from app.cli.report import Fault, say
from app.core import audit
from app.core.config import Settings
from app.core.database import utcnow
from app.core.errors import Invalid
from app.core.schemas import normalize_email
from app.core.security import hash_password
from app.state import build


def run(email: str, password: str, as_json: bool) -> None:
    settings = command_settings(as_json)
    try:
        email = normalize_email(email)
        check_password(password, email, settings)
    except PydanticCustomError as error:
        raise Fault("email", error.message(), argument="--email") from None
    except Invalid as error:
        raise Fault("password", error.message, argument="--password") from None
    migrated(settings)
    asyncio.run(_make_superuser(settings, email, password))
    say(as_json, f"{email} is a superuser.", email=email)


async def _make_superuser(settings: Settings, email: str, password: str) -> None:
    """An account that exists gets the new password and loses its sessions and keys: who registered it first is out."""
    services = build(settings)
    try:
        async with services.database.sessions.begin() as db:
            user = await db.scalar(select(User).where(User.email == email).with_for_update())
            if user is None:
                user = User(email=email)
                db.add(user)
            user.hashed_password = hash_password(password, settings.bcrypt_rounds)
            user.is_active = user.is_superuser = True
            await db.flush()
            user.email_verified_at = user.email_verified_at or utcnow()  # whoever types it here vouches for it
            await end_sessions(db, user.id)
            await revoke_keys(db, user.id)
            audit.record(db, None, "account_changed", user_id=user.id, by="command line", is_superuser=True)
    finally:
        await services.close()
