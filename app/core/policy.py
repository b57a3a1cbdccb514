"""Who may call a route. Denied by default: a route without a signed-in user has to say `@public`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

Function = TypeVar("Function", bound=Callable[..., Any])


def public(endpoint: Function) -> Function:
    """Let anybody call this endpoint."""
    endpoint.is_public = True  # ty: ignore[missing-attribute]
    return endpoint


def authenticates(dependency: Function) -> Function:
    """Say of a dependency that it lets only signed-in users through."""
    dependency.authenticates = True  # ty: ignore[missing-attribute]
    return dependency


def is_public(endpoint: Any) -> bool:
    return getattr(endpoint, "is_public", False)


def is_declared(endpoint: Any, dependant: Dependant | None) -> bool:
    """Whether a route says who may call it: everybody, or the signed-in."""
    return is_public(endpoint) or (dependant is not None and _authenticates(dependant))


def undeclared_routes(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """The routes, whoever made them, that do not say who may call them."""
    for route in iter_route_contexts(routes):
        if not is_declared(route.endpoint, getattr(route, "dependant", None)):
            yield f"{' '.join(sorted(route.methods or ['*']))} {route.path}"


def depends_on(dependant: Dependant, dependency: Callable[..., Any]) -> bool:
    """Whether a route's dependencies contain this one, at any depth."""
    return dependant.call is dependency or any(depends_on(part, dependency) for part in dependant.dependencies)


def _authenticates(dependant: Dependant) -> bool:
    return getattr(dependant.call, "authenticates", False) or any(map(_authenticates, dependant.dependencies))
