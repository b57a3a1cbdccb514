"""Limits as settings and code write them: `10/minute`, or `5/minute,20/hour`."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from limits import RateLimitItem


class Limit(NamedTuple):
    amount: int
    window_s: int
    per: str  # the window as responses name it: `hour`, `5minute`


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
