"""The application: `uvicorn app.main:app`. Everything that a process needs is built here and in app/state.py."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import api
from app import models as models
from app import tasks as tasks
from app.api_keys.uses import KeyUses, writing_uses
from app.core.config import Settings
from app.core.db.migrations import prepare
from app.core.db.replication.replicas import watching
from app.core.environment import load_settings
from app.core.errors import add_error_handlers
from app.core.http.docs import add_docs
from app.core.http.middleware import add_middleware
from app.core.http.openapi import complete_openapi
from app.core.http.static_files import add_static_files
from app.core.jobs.background import running_jobs
from app.core.observability.metrics import noting_pools
from app.core.observability.setup import configure_logging
from app.core.observability.statement_watch import watch_statements
from app.core.observability.telemetry import observe_app, open_telemetry, sending, telemetry_config
from app.health.backlog import Backlog
from app.health.readiness import Readiness
from app.health.router import router as health
from app.state import Services, build

if TYPE_CHECKING:
    from app.core.admin.lazy import LazySite
    from app.core.admin.site import Site
    from app.core.observability.telemetry_sdk import Providers


@dataclass
class State(Services):
    """`app.state`: the services of the process, and those of its features."""

    telemetry: "Providers | None"
    key_uses: KeyUses
    readiness: Readiness
    backlog: Backlog
    admin_site: "LazySite | None" = None


def create_app(settings: Settings | None = None) -> FastAPI:
    """An application with its own settings, engines and metrics."""
    settings = settings or load_settings()
    configure_logging(settings)
    telemetry = open_telemetry(settings)
    app = FastAPI(
        title=settings.app_name,
        description=_description(settings),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=_operation_id,
        telemetry=telemetry_config(telemetry),
    )
    services = build(settings)
    state = State(
        **vars(services),
        telemetry=telemetry,
        key_uses=KeyUses(),
        readiness=Readiness(services.database, settings),
        backlog=Backlog(services.database),
    )
    app.state = state  # ty: ignore[invalid-assignment]
    add_error_handlers(app)
    watch_statements(app, state.engines.values(), settings)
    add_middleware(app, settings, state.metrics)
    observe_app(app, telemetry, state.metrics, state.engines)
    app.include_router(health)
    for feature in api.router.routers:
        app.include_router(feature, prefix=api.PREFIX)
    complete_openapi(app)
    _add_pages(app, settings)
    return app


def _add_pages(app: FastAPI, settings: Settings) -> None:
    """What browsers show, where the settings allow it."""
    add_static_files(app)
    if settings.docs_enabled:
        add_docs(app)
    if settings.admin_enabled:
        _add_admin(app)
    if settings.environment == "development":
        from app.health.first_page import add_first_page

        add_first_page(app)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    state: State = app.state  # ty: ignore[invalid-assignment]
    await prepare(state.settings, state.database)
    try:
        async with (
            sending(state.telemetry),
            running_jobs(state.database, state.settings),
            writing_uses(state.key_uses, state.database),
            watching(state.replicas),
            noting_pools(state.metrics, state.pools),
        ):
            yield
    finally:
        await state.close()


def _add_admin(app: FastAPI) -> None:
    """Its routes; the site behind them is built at the first visit."""
    from app.auth.admin.router import router
    from app.core.admin.lazy import LazySite

    app.state.admin_site = LazySite(partial(_admin_site, app))
    app.include_router(router)


def _admin_site(app: FastAPI) -> "Site":
    from app.admin import admin
    from app.core.admin.site import Site

    return Site(app, admin.views())


def _description(settings: Settings) -> str:
    return f"Mails are kept in {settings.mail_folder.resolve()}, and not sent." if settings.keeps_mails else ""


def _operation_id(route: APIRoute) -> str:
    """`create_item`: the name that a generated client's method has."""
    return route.name


app = create_app()
