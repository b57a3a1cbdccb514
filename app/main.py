"""The application: `uvicorn app.main:app`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import api
from app import models as models
from app import tasks as tasks
from app.api_keys.uses import KeyUses, writing_uses
from app.core.config import Settings
from app.core.database import Database
from app.core.docs import add_docs
from app.core.environment import load_settings
from app.core.errors import add_error_handlers
from app.core.hashing import PasswordHasher
from app.core.jobs.background import running_jobs
from app.core.logs import configure_logging
from app.core.metrics import RequestMetrics
from app.core.middleware import add_middleware
from app.core.migrations import prepare
from app.core.rate_limit import open_counters
from app.core.replicas import watching
from app.health.readiness import Readiness
from app.health.router import router as health


def create_app(settings: Settings | None = None) -> FastAPI:
    """An application with its own settings, engines and metrics."""
    settings = settings or load_settings()
    configure_logging(settings)
    app = FastAPI(
        title=settings.app_name,
        description=_description(settings),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.settings = settings
    app.state.database = Database(settings)
    app.state.metrics = RequestMetrics()
    app.state.key_uses = KeyUses()
    app.state.counters = open_counters(settings, app.state.database.redis)
    app.state.readiness = Readiness(app.state.database, settings)
    add_error_handlers(app)
    add_middleware(app, settings, app.state.metrics)
    app.include_router(health)
    app.include_router(api.router)
    if settings.docs_enabled:
        add_docs(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    await prepare(app.state.settings, app.state.database)
    app.state.hasher = PasswordHasher(app.state.settings.bcrypt_rounds)
    try:
        database = app.state.database
        async with (
            running_jobs(database, app.state.settings),
            writing_uses(app.state.key_uses, database),
            watching(database.replicas),
        ):
            yield
    finally:
        app.state.hasher.close()
        await app.state.database.close()


def _description(settings: Settings) -> str:
    return f"Mails are kept in {settings.mail_folder.resolve()}, and not sent." if settings.keeps_mails else ""


def _operation_id(route: APIRoute) -> str:
    """`create_item`: the name that a generated client's method has."""
    return route.name


app = create_app()
