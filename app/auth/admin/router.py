"""The admin's doors: signing in with a browser, out again, and everything behind it for superusers."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import SecretStr, StringConstraints
from pydantic_core import PydanticCustomError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import service
from app.auth.admin import cookie
from app.auth.admin.dependencies import SAME_ORIGIN, AdminUser
from app.auth.admin.route import PageRoute, challenge_page, sign_in_page
from app.auth.dependencies import LIMITED_BY_ADDRESS, require_verified, superuser
from app.auth.hashing import Hasher
from app.auth.models import AuthSession, User
from app.auth.router import logout
from app.auth.schemas import ChallengeResponse
from app.auth.second_factor.router import prove_challenge
from app.auth.sessions import open_session
from app.core import audit
from app.core.admin.address import address
from app.core.database import DbSession, PrimaryReadSession, rows_changed
from app.core.errors import Forbidden, Unauthorized
from app.core.policy import public
from app.core.schemas import MAX_EMAIL_LENGTH, MAX_PASSWORD_LENGTH, normalize_email

router = APIRouter(prefix="/admin", include_in_schema=False, route_class=PageRoute)

Text = Annotated[str, Form(max_length=MAX_EMAIL_LENGTH)]
Secret = Annotated[SecretStr, Form(max_length=MAX_PASSWORD_LENGTH)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=64), Form()]


@router.get("/login")
@public
async def show_sign_in(request: Request) -> Response:
    return sign_in_page(request)


@router.post("/login", dependencies=[SAME_ORIGIN, LIMITED_BY_ADDRESS])
@public
async def sign_in(
    email: Text, password: Secret, request: Request, db: DbSession, read: PrimaryReadSession, hasher: Hasher
) -> Response:
    """As POST /api/v1/auth/login, with its limits; a second factor is asked for next."""
    try:
        known_as = normalize_email(email)
    except PydanticCustomError:
        raise Unauthorized(service.WRONG_CREDENTIALS) from None
    proven = await service.prove_password(db, read, hasher, request, known_as, password.get_secret_value())
    if isinstance(proven, ChallengeResponse):
        return challenge_page(request, proven.challenge_token)
    return await _enter(db, request, proven.id)


@router.post("/login/second-factor", dependencies=[SAME_ORIGIN, LIMITED_BY_ADDRESS])
@public
async def prove_second_factor(
    challenge_token: Secret, code: Code, request: Request, db: DbSession, read: PrimaryReadSession
) -> Response:
    user = await prove_challenge(db, read, request, challenge_token.get_secret_value(), code)
    return await _enter(db, request, user.id)


@router.post("/logout")
async def sign_out(user: AdminUser, request: Request, db: DbSession) -> Response:
    await logout(user, request, db)
    response = RedirectResponse(f"{address(request)}/login", 303)
    cookie.forget(response, request)
    return response


@router.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
async def show(path: str, _: AdminUser, request: Request) -> Response:
    site = await request.app.state.admin_site.get()
    response = await site.answer(request, path)
    await cookie.renew(response, request)
    return response


async def _enter(db: AsyncSession, request: Request, user_id: int) -> Response:
    """For whoever may not be here nothing is raised: that they tried, and that their code is used up, is committed."""
    user: Any = await db.get_one(User, user_id)
    try:
        require_verified(request, user)
        await superuser(user)
    except Forbidden as error:
        audit.record(db, request, "sign_in_failed", user_id=user_id, door="admin")
        return sign_in_page(request, error.status_code, str(error.detail))
    await _end_the_last(db, request, user_id)
    session = await open_session(db, user_id, request)
    response = RedirectResponse(f"{address(request)}/", 303)
    cookie.keep(response, request, user.email, session.id)
    return response


async def _end_the_last(db: AsyncSession, request: Request, user_id: int) -> None:
    """The browser forgets its cookie now: nobody could sign that session out any more."""
    try:
        last = cookie.read(request).session_id
    except Unauthorized:
        return
    if await rows_changed(db, delete(AuthSession).where(AuthSession.id == last, AuthSession.user_id == user_id)):
        audit.record(db, request, "signed_out", user_id=user_id, session_id=last, sessions="one")
