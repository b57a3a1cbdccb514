"""The caller's second factor, proven."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth import service as accounts
from app.auth.dependencies import SessionUser
from app.auth.hashing import Hasher
from app.auth.second_factor.models import SecondFactor
from app.auth.second_factor.schemas import Proof
from app.auth.second_factor.service import WRONG_CODE, active_factor, count_guess, use_code
from app.core.config import AppSettings
from app.core.database import DbSession, PrimaryReadSession
from app.core.errors import Conflict, Forbidden


async def get_proven_factor(
    body: Proof,
    user: SessionUser,
    request: Request,
    db: DbSession,
    read: PrimaryReadSession,
    hasher: Hasher,
    settings: AppSettings,
) -> SecondFactor:
    """The active factor, its account locked, once the password and a code of it are right; the code is used up."""
    known_hash = await accounts.verify_own_password(request, read, hasher, user, body.password.get_secret_value())
    code = body.code.get_secret_value()
    async with request.app.state.database.sessions.begin() as counting:
        await count_guess(counting, user.id, code)
    await accounts.lock_account(db, user, known_hash)
    factor = await active_factor(db, user.id)
    if factor is None:
        raise Conflict("The second factor is not on")
    if not await use_code(db, settings, factor, code):
        raise Forbidden(f"Not authorized: {WRONG_CODE}")
    return factor


ProvenFactor = Annotated[SecondFactor, Depends(get_proven_factor)]
