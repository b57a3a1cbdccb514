"""`app reset-second-factor`"""

import asyncio

from pydantic_core import PydanticCustomError
from sqlalchemy import delete, select

from app.auth.models import User, end_sessions
from app.auth.second_factor.models import SecondFactor
from app.auth.tasks import send_second_factor_changed
from app.cli.migrate import command_settings, migrated
from app.cli.report import Fault, say
from app.core import audit
from app.core.config import Settings
from app.core.database import rows_changed
from app.core.jobs import enqueue
from app.core.schemas import normalize_email
from app.state import build


def run(email: str, as_json: bool) -> None:
    settings = command_settings(as_json)
    try:
        email = normalize_email(email)
    except PydanticCustomError as error:
        raise Fault("email", error.message(), argument="--email") from None
    migrated(settings)
    if not asyncio.run(_reset(settings, email)):
        raise Fault(
            "email", "there is no account of that address with a second factor", argument="--email", exit_code=1
        )
    say(as_json, f"{email} signs in with the password alone.", email=email)


async def _reset(settings: Settings, email: str) -> bool:
    """Whether there was one. One that was never confirmed counts too: nobody needs it."""
    services = build(settings)
    try:
        async with services.database.sessions.begin() as db:
            user = await db.scalar(select(User).where(User.email == email).with_for_update())
            mine = SecondFactor.user_id == (user.id if user else None)
            if user is None or not await rows_changed(db, delete(SecondFactor).where(mine)):
                return False
            await end_sessions(db, user.id)
            audit.record(db, None, "second_factor_off", user_id=user.id)
            enqueue(db, send_second_factor_changed, to=email, change="turned off")
            return True
    finally:
        await services.close()
