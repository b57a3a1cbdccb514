"""The figures as Markdown."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.speed.figures import DATABASES, LABELS, SERVERS, growth, median, ratio, start_ratio


def markdown(figures: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    about = (
        f"{figures['date']}, {figures['machine']}, Python {figures['python']}, {versions}; "
        f"{figures['rounds']} rounds of {figures['seconds']} s.\n"
    )
    parts = [about, *(_race(name, figures[name]) for name in DATABASES)]
    parts += [_depth(figures["depth"])] if "depth" in figures else []
    parts += [_processor(figures["processor"]), _start(figures)]
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _race(name: str, race: dict[str, Any]) -> str:
    rows = []
    for kind, by_name in race["results"].items():
        cells = [_speed(by_name.get(server)) for server in SERVERS]
        ratios = ["" if (value := ratio(by_name, other)) is None else f"{value:.2f}" for other in ("plain", "floor")]
        rows.append([LABELS[kind], *cells, *ratios])
    memory = [f"{race['memory_mb'][server]:.0f} MB" if server in race["memory_mb"] else "" for server in SERVERS]
    rows.append(["memory after it", *memory, "", ""])
    head = [f"{DATABASES[name]}, requests a second (p99)", "Groundwork", "plain stack", "floor", "of plain", "of floor"]
    return _table(head, rows)


def _speed(runs: list[dict[str, float]] | None) -> str:
    return f"{median(runs, 'per_second'):,.0f} ({median(runs, 'p99_ms'):,.0f} ms)" if runs else ""


def _depth(depth: dict[str, Any]) -> str:
    sizes = list(next(iter(depth.values())))
    rows = [
        [LABELS[kind], *(f"{median(by[size], 'per_second'):,.0f} (cost {growth(by, size):.2f})" for size in sizes)]
        for kind, by in depth.items()
    ]
    return _table(["PostgreSQL, requests a second", *(f"{int(size):,} items" for size in sizes)], rows)


def _processor(costs: dict[str, Any]) -> str:
    rows = []
    for kind, of in costs.items():
        ours, plain = statistics.median(of["groundwork"]), statistics.median(of["plain"])
        rows.append([LABELS[kind], f"{ours:.0f} us", f"{plain:.0f} us", f"{plain / ours:.2f}"])
    return _table(["processor time of a call, in-process, PostgreSQL", "Groundwork", "plain stack", "of plain"], rows)


def _start(figures: dict[str, Any]) -> str:
    start = figures["start"]
    seconds = [f"{statistics.median(start[name]['seconds']):.2f} s" for name in ("groundwork", "plain")]
    memory = [f"{statistics.median(start[name]['memory_mb']):.0f} MB" for name in ("groundwork", "plain")]
    rows = [["first answer", *seconds, f"{start_ratio(start):.2f}"], ["memory, idle", *memory, ""]]
    return _table(["start, SQLite", "Groundwork", "plain stack", "ratio"], rows)
