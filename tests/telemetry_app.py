"""The application with endpoints that fail over what they were sent: `uvicorn tests.telemetry_app:app`."""

from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy import text

from app.auth.dependencies import CurrentUser
from app.core.database import DbSession
from app.core.routing import Router
from app.core.schemas import RequestSchema
from app.main import create_app

router = Router(prefix="/api/v1/failing")


class Body(RequestSchema):
    password: str


@router.post("/{how}")
async def fail(how: Literal["statement", "value", "local"], body: Body, _user: CurrentUser, db: DbSession) -> None:
    password = body.password
    if how == "statement":
        await db.execute(text("SELECT nonsense FROM nowhere WHERE x = :password"), {"password": password})
    elif how == "value":
        TypeAdapter(int).validate_python(password)
    raise LookupError("There is none")


app = create_app()
app.include_router(router)
