"""Rate limits: a dependency for a route, and what each signed-in user has for all of them.

@router.post("/reports", dependencies=[Depends(RateLimit("10/hour", by=user_id))])
"""

from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from starlette.types import Scope

from app.core.client import client_network
from app.core.config import Settings, SettingsError
from app.core.counters import Counters
from app.core.errors import TooManyRequests
from app.core.quota import Spent, headers, parse_limits, spend
from app.core.redis import RedisLink

Counted = dict[tuple[str, str, str], list[Spent]]  # of one request, by name, limits and caller

COUNTED = "rate_limits"  # its place in the request's state


class RateLimit:
    """So many requests of one caller to the endpoint that it stands at; each endpoint is counted by itself.

    The limit is written as in the settings, or taken from them: `lambda settings: settings.rate_limit_auth`.
    `by` is a dependency that says who is calling.
    """

    def __init__(self, limit: str | Callable[[Settings], str], by: Callable[..., Any] = client_network) -> None:
        if isinstance(limit, str):
            parse_limits(limit)  # a wrong one is found at the import
        self._limit = limit
        self._by = by
        # What FastAPI solves for __call__: `by` is another dependency in each instance.
        self.__signature__ = Signature(
            [
                Parameter("request", Parameter.KEYWORD_ONLY, annotation=Request),
                Parameter("caller", Parameter.KEYWORD_ONLY, annotation=Annotated[Any, Depends(by)]),
            ]
        )

    async def __call__(self, *, request: Request, caller: Any) -> None:
        endpoint = request.scope["endpoint"]
        name = f"{endpoint.__module__}.{endpoint.__qualname__}"
        await enforce(request, name, self.limit(request.app.state.settings), str(caller))

    def limit(self, settings: Settings) -> str:
        return self._limit if isinstance(self._limit, str) else self._limit(settings)

    def describe(self, settings: Settings) -> str:
        return f"{self.limit(settings)} by {'address' if self._by is client_network else 'user'}"


async def enforce(request: Request, name: str, limits: str, caller: str) -> None:
    """Count this request against the limits, once however often it is asked; the answer's headers tell what is left.

    Raises:
        TooManyRequests: nothing is.
    """
    if not request.app.state.settings.rate_limit_enabled:
        return
    if not hasattr(request.state, COUNTED):
        request.state.rate_limits = {}
    counted: Counted = request.state.rate_limits
    if (name, limits, caller) in counted:  # its transaction is run again, or two dependencies ask
        return
    spent = counted[name, limits, caller] = await spend(request.app.state.counters, name, limits, caller)
    if spent[-1].is_over:
        request.app.state.metrics.refused(name)
        raise TooManyRequests(spent[-1].retry_after_s)


def rate_limit_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers of the response, whatever its status, to a request that was counted."""
    counted: Counted = scope.get("state", {}).get(COUNTED, {})
    told = headers([one for spent in counted.values() for one in spent])
    return [(name.lower().encode(), value.encode()) for name, value in told.items()]


def rate_limits_of(dependant: Dependant) -> Iterator[RateLimit]:
    """The limits that a route declares, itself or through a dependency."""
    if isinstance(dependant.call, RateLimit):
        yield dependant.call
    for part in dependant.dependencies:
        yield from rate_limits_of(part)


def open_counters(settings: Settings, link: RedisLink | None) -> Counters:
    """Raises SettingsError when Redis is to be used and cannot be."""
    try:
        return Counters(link, settings.app_name)
    except ModuleNotFoundError as error:
        raise SettingsError(f"REDIS_URL: {error.name} is not installed. Right: make setup EXTRAS=redis") from None
    except ValueError:
        raise SettingsError(
            f"REDIS_URL: not understood. Right: {Settings.model_fields['redis_url'].description}"
        ) from None
