"""The first page, in development: what runs, where to go, and the next command to try."""

from collections.abc import Iterator
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from app.auth.models import User
from app.core.config import AppSettings, Settings
from app.core.database import ReadSession
from app.core.http.pages import page
from app.core.policy import public
from app.health.readiness import Check

MEND = {"away": ": the log of the server says why", "behind": ": .venv/bin/app migrate mends it"}


class Line(NamedTuple):
    what: str
    says: str
    href: str = ""
    mood: str = ""


class Step(NamedTuple):
    why: str
    command: str


def add_first_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    @public
    async def first_page(request: Request, read: ReadSession, settings: AppSettings) -> HTMLResponse:
        checks = (await app.state.readiness.look()).checks
        rows = [*_state(settings, checks), *_links(settings, request.scope.get("root_path", ""))]
        next_step = await _next_step(read) if checks["migrations"].state == "ok" else MIGRATE
        return page("health/pages/first_page.html", name=app.title, rows=rows, next=next_step)


def _state(settings: Settings, checks: dict[str, Check]) -> Iterator[Line]:
    yield Line("Environment", f"{settings.environment}{', DEBUG' if settings.debug else ''}")
    for name, check in checks.items():
        kind = f"{settings.url.get_backend_name()}, " if name == "database" else ""
        why = f" ({check.ms} ms)" if check.state == "ok" else MEND.get(check.state, "")
        yield Line(name.capitalize(), f"{kind}{check.state}{why}", mood="good" if check.state == "ok" else "bad")
    yield Line("Jobs", "handed to the broker" if settings.celery_broker_url else "run by this server")
    mails = f"kept in {settings.mail_folder.resolve()}, and not sent" if settings.keeps_mails else "sent by SMTP_URL"
    yield Line("Mails", mails)


def _links(settings: Settings, root: str) -> Iterator[Line]:
    if settings.docs_enabled:
        yield Line("API", "Swagger UI: read it and try it", f"{root}/docs")
        yield Line("", "ReDoc: read it", f"{root}/redoc")
        yield Line("", "OpenAPI document", f"{root}/openapi.json")
    if settings.admin_enabled:
        yield Line("Admin", "Accounts and rows, for superusers", f"{root}/admin/")
    yield Line("Health", "Ready?", f"{root}/health/ready")


MIGRATE = Step("The database waits for its migrations.", ".venv/bin/app migrate")
SUPERUSER = Step(
    "Nobody may use the admin yet. Make yourself a superuser; it asks for a password.",
    ".venv/bin/app create-superuser --email you@example.com",
)
ENTITY = Step(
    "Add an entity of your own: its table, its endpoints, its page in the admin and its tests.",
    ".venv/bin/app add Todo 'title:str(200)' done:bool=false\n.venv/bin/app migrate",
)


async def _next_step(read: ReadSession) -> Step:
    try:
        found = await read.one(select(User.id).where(User.is_superuser).limit(1))
    except DBAPIError:
        return MIGRATE
    return SUPERUSER if found is None else ENTITY
