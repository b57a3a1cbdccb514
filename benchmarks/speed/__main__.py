"""Groundwork against the floor and against the plain stack: one run, in turn, medians of pairs.

Run by `make bench`; SECONDS=4 a measurement, ROUNDS=5. One worker process each, 32 connections, 100 users in turn.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.speed import load, servers
from benchmarks.speed.load import Measured
from deploy.cluster.servers import PostgreSQL, running

SECONDS = int(os.environ.get("SECONDS") or 4)
ROUNDS = int(os.environ.get("ROUNDS") or 5)
KINDS = ["get", "list", "post", "put", "login"]
FLOODERS = 8

Results = dict[str, dict[str, list[Measured]]]  # kind -> server -> one a round


def main() -> None:
    if not load.is_there():
        raise SystemExit("not installed: wrk. Right: sudo apt-get install wrk")
    with running(PostgreSQL) as postgresql, tempfile.TemporaryDirectory() as path:
        results = run(postgresql.url, Path(path), ["groundwork", "plain", "floor"])
    show(results)
    if name := os.environ.get("JSON"):
        Path(name).write_text(json.dumps(document(results), indent=1) + "\n")


def run(address: str, folder: Path, names: list[str]) -> Results:
    tokens = folder / "tokens"
    tokens.write_text("".join(asyncio.run(servers.fill(servers.migrate(address)))))
    results: Results = {}
    with servers.serving(address, folder, names) as running_servers:
        urls = {name: server.url for name, server in running_servers.items()}
        for name, url in urls.items():
            load.check(url, tokens, [kind for kind in KINDS if answers(name, kind)])
        for _ in range(ROUNDS):
            for kind in [*KINDS, "get, logins"]:
                for name in random.sample(names, len(names)):
                    if answers(name, kind):
                        measured = one(urls[name], kind, tokens)
                        results.setdefault(kind, {}).setdefault(name, []).append(measured)
    return results


def answers(name: str, kind: str) -> bool:
    return name != "floor" or "login" not in kind


def one(url: str, kind: str, tokens: Path) -> Measured:
    if kind != "get, logins":
        return load.measure(url, kind, tokens, SECONDS)
    flood = load.flood(url, tokens, SECONDS + 1, FLOODERS)
    try:
        return load.measure(url, "get", tokens, SECONDS)
    finally:
        flood.wait()


def ratio(results: Results, kind: str, other: str) -> float | None:
    """The median of each round's own ratio."""
    theirs = results[kind].get(other)
    if theirs is None:
        return None
    return statistics.median(
        a.per_second / b.per_second for a, b in zip(results[kind]["groundwork"], theirs, strict=True)
    )


def show(results: Results) -> None:
    print(f"{'':12} {'groundwork':>22} {'plain':>22} {'floor':>22}   of plain   of floor")
    for kind, by_name in results.items():
        cells = []
        for name in ("groundwork", "plain", "floor"):
            runs = by_name.get(name)
            cells.append(f"{median(runs, 'per_second'):8.0f}/s p99 {median(runs, 'p99_ms'):5.0f} ms" if runs else "")
        ratios = [f"{value:8.2f} x" if (value := ratio(results, kind, name)) else "" for name in ("plain", "floor")]
        print(f"{kind:12} {cells[0]:>22} {cells[1]:>22} {cells[2]:>22} {ratios[0]:>10} {ratios[1]:>10}")


def median(runs: list[Measured], what: str) -> float:
    return statistics.median(getattr(run, what) for run in runs)


def document(results: Results) -> dict[str, object]:
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "")  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True, capture_output=True, check=False)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{os.cpu_count()} x {cpu}",
        "python": sys.version.split()[0],
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "results": {
            kind: {name: [run._asdict() for run in runs] for name, runs in by.items()} for kind, by in results.items()
        },
    }


if __name__ == "__main__":
    main()
