"""Limits, as settings and code write them, `10/minute` or `5/minute,20/hour`, and as answers tell them.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from collections.abc import Sequence
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from app.core.counters import Count, Counters

if TYPE_CHECKING:
    from limits import RateLimitItem

POLICY_HEADER, STATE_HEADER = "RateLimit-Policy", "RateLimit"


class Limit(NamedTuple):
    amount: int
    window_s: int
    per: str  # the window as answers name it: `hour`, `5minute`


class Spent(NamedTuple):
    """A limit, and what is counted against it."""

    name: str
    limit: Limit
    key: str
    count: Count

    @property
    def is_over(self) -> bool:
        return self.count.value > self.limit.amount

    @property
    def retry_after_s(self) -> int:
        """In whole seconds, after which the window is over for sure: Redis rounds to the nearest."""
        return floor(self.count.ends_in_s) + 1


@lru_cache
def parse_limits(text: str) -> tuple[Limit, ...]:
    """The limits that the text names, the one with the shortest window first. Raises ValueError."""
    from limits import parse_many  # 2 % of a start

    try:
        parsed = parse_many(text)
    except ValueError:
        raise ValueError("not a limit") from None
    if any(one.amount < 1 for one in parsed):
        raise ValueError("a limit that lets nobody through")
    limits = [Limit(one.amount, one.get_expiry(), _window_of(one)) for one in parsed]
    return tuple(sorted(limits, key=lambda limit: limit.window_s))


def _window_of(parsed: "RateLimitItem") -> str:
    return f"{parsed.multiples if parsed.multiples > 1 else ''}{parsed.GRANULARITY.name}"


async def spend(counters: Counters, name: str, limits: str, who: str) -> list[Spent]:
    """Count one more, atomically, against each limit until one is over: what it refuses costs the others nothing."""
    spent = []
    for limit in parse_limits(limits):
        counter = key(name, limit, who)
        spent.append(Spent(name, limit, counter, await counters.add(counter, limit.window_s)))
        if spent[-1].is_over:
            break
    return spent


def key(name: str, limit: Limit, who: str) -> str:
    return f"{name}/{who}/{limit.amount}/{limit.per}"


def headers(spent: Sequence[Spent]) -> dict[str, str]:
    """What a client may do in which window, and what is left of it."""
    policies = [f"{_policy(one.name, one.limit)};q={one.limit.amount};w={one.limit.window_s}" for one in spent]
    states = [f"{_policy(one.name, one.limit)};r={_left(one)};t={one.retry_after_s}" for one in spent]
    return {POLICY_HEADER: ", ".join(policies), STATE_HEADER: ", ".join(states)} if spent else {}


def _policy(name: str, limit: Limit) -> str:
    return f'"{name.rpartition(".")[2]}-per-{limit.per}"'


def _left(one: Spent) -> int:
    return max(one.limit.amount - one.count.value, 0)
