"""What was measured, as a table, as JSON and as a plot."""

import importlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed import tables
from benchmarks.speed.figures import DATABASES, LABELS, SERVERS, growth, median, ratio, start_ratio
from benchmarks.speed.load import Measured

Results = dict[str, dict[str, list[Measured]]]  # kind -> server -> one a round

BEGIN, END = "<!-- what make bench wrote -->", "<!-- until here -->"
LIBRARIES = ("fastapi", "starlette", "sqlalchemy", "pydantic", "granian", "uvicorn", "uvloop", "asyncpg", "aiosqlite")


def about(seconds: int, rounds: int) -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True, capture_output=True, check=False)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{os.cpu_count()} x {cpu}",
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "seconds": seconds,
        "rounds": rounds,
    }


def plain(results: Results) -> dict[str, Any]:
    return {kind: {name: [run._asdict() for run in runs] for name, runs in by.items()} for kind, by in results.items()}


def show(figures: dict[str, Any]) -> None:
    for database in DATABASES:
        _show_race(database, figures[database])
    for kind, by_size in figures.get("depth", {}).items():
        print(f"{LABELS[kind]:28}", end="")
        for size, runs in by_size.items():
            speed = f"{median(runs, 'per_second'):6.0f}/s, cost x {growth(by_size, size):.2f}"
            print(f"  {int(size):>11,} items: {speed}", end="")
        print()
    start = figures["start"]
    print("start".ljust(28), end="")
    for name, of in start.items():
        print(f"  {name} {statistics.median(of['seconds']):.2f} s", end="")
    print(f"  ratio {start_ratio(start):.2f}")
    for kind, of in figures["processor"].items():
        ours, theirs = (statistics.median(of[name]) for name in ("groundwork", "plain"))
        print(
            f"{'processor, ' + LABELS[kind]:28}  groundwork {ours:.0f} us  plain {theirs:.0f} us  {theirs / ours:.2f} x"
        )


def _show_race(database: str, race: dict[str, Any]) -> None:
    print(f"{database:28} {'groundwork':>22} {'plain':>22} {'floor':>22}   of plain   of floor")
    for kind, by_name in race["results"].items():
        cells, ratios = [], []
        for name in SERVERS:
            runs = by_name.get(name)
            cells.append(f"{median(runs, 'per_second'):8.0f}/s p99 {median(runs, 'p99_ms'):5.0f} ms" if runs else "")
        for name in ("plain", "floor"):
            value = ratio(by_name, name)
            ratios.append("" if value is None else f"{value:8.2f} x")
        print(f"{LABELS[kind]:28} {cells[0]:>22} {cells[1]:>22} {cells[2]:>22} {ratios[0]:>10} {ratios[1]:>10}")
    print("memory after it".ljust(28), "  ".join(f"{name} {mb:.0f} MB" for name, mb in race["memory_mb"].items()))


def write(figures: dict[str, Any], docs: Path) -> None:
    """The figures, their plot, and their tables in the page about them."""
    (docs / "img").mkdir(exist_ok=True)
    (docs / "performance.json").write_text(json.dumps(figures, indent=1) + "\n")
    plot(figures, docs / "img" / "performance.svg")
    page = docs / "PERFORMANCE.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{tables.markdown(figures)}{END}{rest.partition(END)[2]}")


def plot(figures: dict[str, Any], path: Path) -> None:
    """Requests a second of each server, on both databases."""
    # By name: it is of the group `plot`, which only `make bench` installs.
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "groundwork", "font.size": 9})
    pyplot = importlib.import_module("matplotlib.pyplot")

    kinds = ("get", "list", "post", "put")
    colors = {"groundwork": "#1f6feb", "plain": "#b0b7bf", "floor": "#57606a"}
    figure, each = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axes, database in zip(each, DATABASES, strict=True):
        results = figures[database]["results"]
        names = [name for name in colors if name in results["get"]]
        for place, name in enumerate(names):
            heights = [median(results[kind][name], "per_second") for kind in kinds]
            at = [index + (place - (len(names) - 1) / 2) * 0.27 for index in range(len(kinds))]
            bars = axes.bar(at, heights, 0.25, label=name, color=colors[name])
            axes.bar_label(bars, fmt="{:.0f}", fontsize=7)
        axes.set_xticks(range(len(kinds)), [LABELS[kind] for kind in kinds])
        axes.set_title(DATABASES[database])
        axes.set_ylabel("requests a second, one process")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*each[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
