"""Ten thousand jobs: how many a second, how much memory; and what a broker that is away costs a request.

Run by `make bench-jobs`. With DATABASE_URL it runs there, on an empty database; without, on SQLite.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from deploy.cluster.servers import RabbitMQ, Redis, Server, running
from tests import processes
from tests.e2e.stack import API, Caller, serving, working

JOBS = int(os.environ.get("JOBS", "10000"))
A_REQUEST = 1000
TRIES = 30


def main() -> None:
    print(f"{JOBS} jobs, each of which inserts a row; Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    measure("embedded")
    for kind in (RabbitMQ, Redis):
        if kind.find():
            with running(kind) as broker:
                measure(kind.__name__, broker)


def measure(name: str, broker: Server | None = None) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        address = os.environ.get("DATABASE_URL", f"sqlite:///{folder}/app.db")
        env = processes.safe(address, LOG_LEVEL="WARNING", CELERY_BROKER_URL=broker.url if broker else "")
        with serving(folder, env, expected="ERROR") as server, server.client() as client:
            caller = Caller(client)
            with working(folder, env) if broker else nullcontext() as worker:
                run(name, caller, lambda: memory(worker.pid if worker else server.process.pid))
                if broker:
                    print(f"{'':10} {away(caller, broker)}")


def run(name: str, caller: Caller, size: Callable[[], float]) -> None:
    caller.put("add_item", "first")
    caller.wait_for("first")
    before = size()
    started = time.perf_counter()
    for first in range(0, JOBS, A_REQUEST):
        caller.put("add_item", *(f"{number:05}" for number in range(first, first + A_REQUEST)))
    sizes = [size()]
    while done(caller) <= JOBS:
        sizes.append(size())
        time.sleep(0.5)
    seconds = time.perf_counter() - started
    memory_mb = f"{before:.0f} MB before, {max(sizes):.0f} at most, {size():.0f} after"
    print(f"{name:10} {JOBS / seconds:.0f} jobs a second; {memory_mb}")


def done(caller: Caller) -> int:
    return int(caller.client.get(f"{API}/items?limit=1&count=true").headers["X-Total-Count"])


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], check=False, capture_output=True, text=True).stdout.split()
    sizes = [Path(f"/proc/{process}/status").read_text() for process in [str(pid), *listed]]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024 for text in sizes)  # ty: ignore[not-subscriptable]


def away(caller: Caller, broker: Server) -> str:
    """Medians and maxima of a request that enqueues a job."""
    usual = [request_ms(caller) for _ in range(TRIES)]
    broker.kill()
    without = [request_ms(caller) for _ in range(TRIES)]
    broker.start()
    return (
        f"a request with a job: {statistics.median(usual):.1f} ms (at most {max(usual):.0f}); "
        f"while the broker is away {statistics.median(without):.1f} ms (at most {max(without):.0f})"
    )


def request_ms(caller: Caller) -> float:
    started = time.perf_counter()
    caller.put("add_item", "timed")
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
