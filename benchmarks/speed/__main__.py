"""Groundwork against the floor and against the plain stack: one run, in turn, medians of pairs. Run by `make bench`.

One worker process each, 32 connections, 100 users with 100 items and their tokens in turn, answers checked before they
are timed. SECONDS=4 a measurement, ROUNDS=5, ITEMS=10000000 in the largest table; OUT=docs is where its figures go.
"""

import asyncio
import os
import random
import tempfile
from pathlib import Path

from benchmarks.speed import depth, load, processor, report, servers, start
from benchmarks.speed.load import Measured
from benchmarks.speed.report import Results
from deploy.cluster.servers import PostgreSQL, running

SECONDS = int(os.environ.get("SECONDS") or 4)
ROUNDS = int(os.environ.get("ROUNDS") or 5)
ITEMS = int(os.environ.get("ITEMS") or 10_000_000)
OUT = os.environ.get("OUT")
KINDS = (os.environ.get("KINDS") or "get list post put login flooded").split()
FLOODED = "flooded"  # GET, while FLOODERS clients sign in
FLOODERS = 8


def main() -> None:
    if not load.is_there():
        raise SystemExit("not installed: wrk. Right: sudo apt-get install wrk")
    with tempfile.TemporaryDirectory() as name, running(PostgreSQL) as postgresql:
        folder, figures = Path(name), report.about(SECONDS, ROUNDS)
        figures["postgresql"] = race(servers.database(postgresql, "speed"), folder, ["groundwork", "plain", "floor"])
        figures["sqlite"] = race(f"sqlite:///{folder}/speed.db", folder, ["groundwork", "plain"])
        if ITEMS:
            figures["depth"] = depth.measure(postgresql, folder, ITEMS, SECONDS, ROUNDS)
        figures["start"] = start.measure()
        figures["processor"] = processor.measure(servers.database(postgresql, "processor"), ROUNDS)
    report.show(figures)
    if OUT:
        report.write(figures, Path(OUT))


def race(address: str, folder: Path, names: list[str]) -> dict[str, object]:
    tokens = folder / "tokens"
    tokens.write_text("".join(asyncio.run(servers.fill(servers.migrate(address)))))
    results: Results = {}
    with servers.serving(address, folder, names) as each:
        for name, server in each.items():
            load.check(server.url, tokens, [kind for kind in KINDS if kind != FLOODED and answers(name, kind)])
        for _ in range(ROUNDS):
            for kind in KINDS:
                for name in random.sample(names, len(names)):
                    if answers(name, kind):
                        results.setdefault(kind, {}).setdefault(name, []).append(one(each[name].url, kind, tokens))
        memory = {name: servers.memory_mb(server.process.pid) for name, server in each.items()}
    return {"results": report.plain(results), "memory_mb": memory}


def answers(name: str, kind: str) -> bool:
    return name != "floor" or kind not in ("login", FLOODED)


def one(url: str, kind: str, tokens: Path) -> Measured:
    if kind != FLOODED:
        return load.measure(url, kind, tokens, SECONDS)
    load.settle(url)
    flood = load.flood(url, tokens, SECONDS + 2, FLOODERS)
    try:
        return load.measure(url, "get", tokens, SECONDS, settles=False)
    finally:
        flood.wait()


if __name__ == "__main__":
    main()
