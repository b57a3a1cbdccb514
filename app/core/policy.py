"""Who may call a route. Denied by default: a route without a signed-in user has to say `@public`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def public(endpoint: Endpoint) -> Endpoint:
    """Let anybody call this endpoint."""
    endpoint.is_public = True  # ty: ignore[missing-attribute]
    return endpoint


def is_public(route: RouteContext) -> bool:
    return getattr(route.endpoint, "is_public", False)


def depends_on(dependant: Dependant, dependency: Callable[..., Any]) -> bool:
    """Whether a route's dependencies contain this one, at any depth."""
    return dependant.call is dependency or any(depends_on(part, dependency) for part in dependant.dependencies)


def undeclared_routes(routes: Sequence[BaseRoute], authentication: Callable[..., Any]) -> Iterator[str]:
    """The routes that neither authenticate nor are public."""
    for route in iter_route_contexts(routes):
        dependant = getattr(route, "dependant", None)
        authenticated = dependant is not None and depends_on(dependant, authentication)
        if not authenticated and not is_public(route):
            yield f"{' '.join(sorted(route.methods or ['*']))} {route.path}"
