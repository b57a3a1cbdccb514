"""Limits, as settings and code write them, `10/minute` or `5/minute,20/hour`, and as answers tell them.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from collections.abc import Sequence
from functools import lru_cache
from math import floor
from typing import NamedTuple

from limits import RateLimitItem, parse_many

from app.core.counters import Count, Counters

POLICY_HEADER, STATE_HEADER = "RateLimit-Policy", "RateLimit"


class Spent(NamedTuple):
    """A limit, and what is counted against it."""

    name: str
    limit: RateLimitItem
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
def parse_limits(text: str) -> tuple[RateLimitItem, ...]:
    """The limits that the text names, the one with the shortest window first. Raises ValueError."""
    try:
        limits = sorted(parse_many(text), key=RateLimitItem.get_expiry)
    except ValueError:
        raise ValueError("not a limit") from None
    if any(limit.amount < 1 for limit in limits):
        raise ValueError("a limit that lets nobody through")
    return tuple(limits)


async def spend(counters: Counters, name: str, limits: str, who: str) -> list[Spent]:
    """Count one more, atomically, against each limit until one is over: what it refuses costs the others nothing."""
    spent = []
    for limit in parse_limits(limits):
        counter = key(name, limit, who)
        spent.append(Spent(name, limit, counter, await counters.add(counter, limit.get_expiry())))
        if spent[-1].is_over:
            break
    return spent


def key(name: str, limit: RateLimitItem, who: str) -> str:
    return limit.key_for(name, who)


def headers(spent: Sequence[Spent]) -> dict[str, str]:
    """What a client may do in which window, and what is left of it."""
    policies = [f'"{_policy(one)}";q={one.limit.amount};w={one.limit.get_expiry()}' for one in spent]
    states = [f'"{_policy(one)}";r={_left(one)};t={one.retry_after_s}' for one in spent]
    return {POLICY_HEADER: ", ".join(policies), STATE_HEADER: ", ".join(states)} if spent else {}


def _policy(one: Spent) -> str:
    multiples = one.limit.multiples if one.limit.multiples > 1 else ""
    return f"{one.name.rpartition('.')[2]}-per-{multiples}{one.limit.GRANULARITY.name}"


def _left(one: Spent) -> int:
    return max(one.limit.amount - one.count.value, 0)
