"""Rate limits: a dependency for a route, and what each signed-in user has for all of them.

@router.post("/reports", dependencies=[Depends(RateLimit("10/hour", by=user_id))])
"""

from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from math import floor
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from starlette.types import Scope

from app.core.client import client_network
from app.core.config import Settings, SettingsError
from app.core.db.redis import RedisLink
from app.core.errors import TooManyRequests
from app.core.limits.counters import Counters
from app.core.settings.limits import Limit, parse_limits

Counted = dict[tuple[str, str, str], "list[Spent]"]  # of one request, by name, limits and caller

COUNTED = "rate_limits"  # an attribute of request.state
POLICY_HEADER, STATE_HEADER = "RateLimit-Policy", "RateLimit"
KEY = "{name}/{caller}/{limit.amount}/{limit.per}"


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


class Spent(NamedTuple):
    """What one request counted against one limit."""

    name: str
    limit: Limit
    key: str
    left: int  # below 0: over the limit
    retry_after_s: int

    @property
    def is_over(self) -> bool:
        return self.left < 0


async def enforce(request: Request, name: str, limits: str, caller: str) -> None:
    """Count this request against the limits, once however often it is asked for; its response says what is left.

    Raises:
        TooManyRequests: nothing is left.
    """
    state = request.app.state
    if not state.settings.rate_limit_enabled:
        return
    if not hasattr(request.state, COUNTED):
        request.state.rate_limits = {}
    counted: Counted = request.state.rate_limits
    if (name, limits, caller) in counted:  # its transaction is run again, or two dependencies ask
        return
    spent = counted[name, limits, caller] = await spend(state.counters, name, limits, caller)
    if spent[-1].left < 0:
        state.metrics.refused(name)
        raise TooManyRequests(spent[-1].retry_after_s)


async def spend(counters: Counters, name: str, limits: str, caller: str) -> list[Spent]:
    """Count one more, atomically, against each limit until one is over: what it refuses costs the others nothing."""
    spent = []
    for limit in parse_limits(limits):
        key = KEY.format(name=name, caller=caller, limit=limit)
        count = await counters.add(key, limit.window_s)
        # Whole seconds after which the window is over for sure: Redis rounds to the nearest.
        spent.append(Spent(name, limit, key, limit.amount - count.value, floor(count.ends_in_s) + 1))
        if count.value > limit.amount:
            break
    return spent


def rate_limit_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers of the response, whatever its status, to a request that was counted.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    """
    counted: Counted = scope.get("state", {}).get(COUNTED, {})
    policies, states = [], []
    for one in (one for spent in counted.values() for one in spent):
        policy = f'"{one.name.rpartition(".")[2]}-per-{one.limit.per}"'
        policies.append(f"{policy};q={one.limit.amount};w={one.limit.window_s}")
        states.append(f"{policy};r={max(one.left, 0)};t={one.retry_after_s}")
    if not policies:
        return []
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(states).encode())]


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
