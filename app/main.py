"""The application: `uvicorn app.main:app`."""

import gc

gc.disable()  # what is imported stays: looking for garbage in it is a sixth of the start

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

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
from app.core.metrics import RequestMetrics, noting_pools
from app.core.middleware import add_middleware
from app.core.migrations import prepare
from app.core.openapi import complete_openapi
from app.core.rate_limit import open_counters
from app.core.replicas import watching
from app.core.route_index import RouteIndex
from app.core.statement_watch import watch_statements
from app.core.static_files import add_static_files
from app.core.telemetry import observe_app, open_telemetry, sending, telemetry_config
from app.core.verified_tokens import VerifiedTokens
from app.health.backlog import Backlog
from app.health.readiness import Readiness
from app.health.router import router as health

if TYPE_CHECKING:
    from app.core.admin.site import Site


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
    _add_state(app, settings)
    app.state.telemetry = telemetry
    add_error_handlers(app)
    watch_statements(app, app.state.database, settings)
    add_middleware(app, settings, app.state.metrics)
    observe_app(app, telemetry, app.state.metrics, app.state.database)
    app.include_router(health)
    app.include_router(api.router, prefix=api.PREFIX)  # without a prefix here FastAPI would build each route once more
    complete_openapi(app)
    _add_pages(app, settings)
    app.router.middleware_stack = RouteIndex(app)
    return app


def _add_state(app: FastAPI, settings: Settings) -> None:
    app.state.settings = settings
    app.state.database = Database(settings)
    app.state.tokens = VerifiedTokens(settings)
    app.state.metrics = RequestMetrics()
    app.state.database.cache.count_lookup = app.state.metrics.looked_up
    app.state.key_uses = KeyUses()
    app.state.counters = open_counters(settings, app.state.database.redis)
    app.state.readiness = Readiness(app.state.database, settings)
    app.state.backlog = Backlog(app.state.database)


def _add_pages(app: FastAPI, settings: Settings) -> None:
    """What is there for browsers, as far as it is wanted."""
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
    await prepare(app.state.settings, app.state.database)
    app.state.hasher = PasswordHasher(app.state.settings.bcrypt_rounds)
    try:
        database = app.state.database
        async with (
            sending(app.state.telemetry),
            running_jobs(database, app.state.settings),
            writing_uses(app.state.key_uses, database),
            watching(database.replicas),
            noting_pools(app.state.metrics, database),
        ):
            yield
    finally:
        app.state.hasher.close()
        await app.state.database.close()


def _add_admin(app: FastAPI) -> None:
    """Its doors; the site behind them is made when somebody first looks at it."""
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

gc.freeze()  # nor is it looked at while requests are served
gc.enable()
