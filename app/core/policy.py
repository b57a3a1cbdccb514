"""Who may call a route. Denied by default: a route without a signed-in user has to say `@public`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

Policy = Literal["public", "user", "owner", "superuser"]
Function = TypeVar("Function", bound=Callable[..., Any])


class Caller(Protocol):
    """Whoever calls: the user of a session or of an API key."""

    @property
    def id(self) -> int: ...
    @property
    def is_superuser(self) -> bool: ...


def public(endpoint: Function) -> Function:
    """Let anybody call this endpoint."""
    endpoint.is_public = True  # ty: ignore[missing-attribute]
    return endpoint


def authenticates(dependency: Function) -> Function:
    """Say of a dependency that it lets only signed-in users through."""
    dependency.authenticates = True  # ty: ignore[missing-attribute]
    return dependency


def for_superusers(dependency: Function) -> Function:
    """Say of a dependency that it lets only superusers through."""
    dependency.for_superusers = True  # ty: ignore[missing-attribute]
    return dependency


def for_sessions(dependency: Function) -> Function:
    """Say of a dependency that it lets only signed-in devices through, and no API key."""
    dependency.for_sessions = True  # ty: ignore[missing-attribute]
    return dependency


def shows_a_secret(endpoint: Function) -> Function:
    """Say of a POST that its answer shows a secret: it is stored nowhere, so the route takes no Idempotency-Key."""
    endpoint.shows_a_secret = True  # ty: ignore[missing-attribute]
    return endpoint


def may_be_stored(endpoint: Any) -> bool:
    return not getattr(endpoint, "shows_a_secret", False)


def is_for_sessions(dependant: Dependant) -> bool:
    return _says(dependant, "for_sessions")


def policy_of(endpoint: Any, dependant: Dependant, path: str) -> Policy:
    """Who may call a route. One on a row, or below it, is its owner's: the conformance suite holds it to that."""
    if is_public(endpoint):
        return "public"
    if _says(dependant, "for_superusers"):
        return "superuser"
    return "owner" if "{" in path else "user"


def is_public(endpoint: Any) -> bool:
    return getattr(endpoint, "is_public", False)


def is_declared(endpoint: Any, dependant: Dependant | None) -> bool:
    """Whether a route says who may call it: everybody, or the signed-in."""
    return is_public(endpoint) or (dependant is not None and _says(dependant, "authenticates"))


def undeclared_routes(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """The routes, whoever made them, that do not say who may call them."""
    for route in iter_route_contexts(routes):
        if not is_declared(route.endpoint, getattr(route, "dependant", None)):
            yield f"{' '.join(sorted(route.methods or ['*']))} {route.path}"


def authenticator_of(dependant: Dependant) -> Callable[..., Any] | None:
    """The dependency, at any depth, that was marked with `authenticates`."""
    if getattr(dependant.call, "authenticates", False):
        return dependant.call
    return next(filter(None, map(authenticator_of, dependant.dependencies)), None)


def _says(dependant: Dependant, name: str) -> bool:
    """Whether one of a route's dependencies, at any depth, was marked with the name."""
    return getattr(dependant.call, name, False) or any(_says(part, name) for part in dependant.dependencies)
