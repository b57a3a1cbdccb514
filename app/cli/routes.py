"""`app routes`: every route, who may call it, how often, and how much one request may ask for."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from app.cli.checks.application import application
from app.cli.report import say
from app.core.config import Settings
from app.core.pagination import MAX_LIMIT, ListQuery
from app.core.policy import is_declared, is_public, policy_of
from app.core.rate_limit import rate_limits_of

COLUMNS = ("method", "path", "policy", "limit", "feature")


def run(as_json: bool) -> None:
    routes = sorted(_routes(application()), key=lambda route: (route["path"], route["method"]))
    say(as_json, _table(routes), routes=routes)


def _routes(app: FastAPI) -> Iterator[dict[str, str]]:
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ["*"]:
            yield {
                "method": method,
                "path": route.path or "",
                "policy": _policy(route),
                "limit": ", ".join(_limits(route, app.state.settings)) or "-",
                "feature": _feature(route),
                "name": route.name or "",
            }


def _policy(route: RouteContext) -> str:
    if is_public(route.endpoint):
        return "public"
    dependant = getattr(route, "dependant", None)  # Starlette's own routes have none
    if dependant is None or not is_declared(route.endpoint, dependant):
        return "undeclared"
    return policy_of(route.endpoint, dependant, route.path or "")


def _limits(route: RouteContext, settings: Settings) -> Iterator[str]:
    dependant = getattr(route, "dependant", None)
    if any(_is_list(part) for part in _dependants(dependant)):
        yield f"{MAX_LIMIT} rows"
    if getattr(route, "body_field", None):
        own = getattr(route, "max_body_size", None)
        yield f"{(settings.max_body_bytes if own is None else own) / 2**20:g} MiB"
    if settings.rate_limit_enabled and dependant is not None:
        yield from (limit.describe(settings) for limit in rate_limits_of(dependant))
        if not is_public(route.endpoint) and is_declared(route.endpoint, dependant):
            yield f"{settings.rate_limit_user} by user"


def _dependants(dependant: Dependant | None) -> Iterator[Dependant]:
    """The endpoint and its dependencies, at any depth."""
    if dependant is not None:
        yield dependant
        for part in dependant.dependencies:
            yield from _dependants(part)


def _is_list(dependant: Dependant) -> bool:
    kinds = (field.field_info.annotation for field in dependant.query_params)
    return any(isinstance(kind, type) and issubclass(kind, ListQuery) for kind in kinds)


def _feature(route: RouteContext) -> str:
    """The folder below app/ that the endpoint is in."""
    package, _, module = getattr(route.endpoint, "__module__", "").partition(".")
    return module.partition(".")[0] if package == "app" else "-"


def _table(routes: list[dict[str, str]]) -> str:
    rows = [[column.upper() for column in COLUMNS], *([route[column] for column in COLUMNS] for route in routes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
