"""Medians and ratios of what was measured.

A ratio is the median of each round's own: what disturbs the one disturbs the other.
"""

import statistics
from typing import Any

LABELS = {
    "get": "GET one", "list": "LIST 20", "post": "POST", "put": "PUT", "login": "login",
    "flooded": "GET, 8 clients signing in", "page": "the last page",
}  # fmt: skip
DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
SERVERS = ("groundwork", "plain", "floor")


def median(runs: list[dict[str, float]], what: str) -> float:
    return statistics.median(run[what] for run in runs)


def ratio(by_name: dict[str, list[dict[str, float]]], other: str) -> float | None:
    """None where the other has not answered once a second."""
    if min((run["per_second"] for run in by_name.get(other, [])), default=0) < 1:
        return None
    pairs = zip(by_name["groundwork"], by_name[other], strict=True)
    return statistics.median(ours["per_second"] / theirs["per_second"] for ours, theirs in pairs)


def growth(by_size: dict[str, list[dict[str, float]]], size: str) -> float:
    """What a request costs there, with 1 for the smallest table."""
    pairs = zip(next(iter(by_size.values())), by_size[size], strict=True)
    return statistics.median(few["per_second"] / many["per_second"] for few, many in pairs)


def start_ratio(start: dict[str, Any]) -> float:
    pairs = zip(start["groundwork"]["seconds"], start["plain"]["seconds"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)
