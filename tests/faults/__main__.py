"""`make faults`: FAULTS kills of each part, ROLLING rolling restarts; prints a table and writes faults.json."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import uvloop

from deploy.cluster.cluster import cluster
from deploy.cluster.servers import NotStarted, scratch
from tests.faults.run import SETTINGS, Plan, try_faults

RESULT = Path("faults.json")


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    plan = Plan(faults=_number("FAULTS", 20), rolling=_number("ROLLING", 50), seconds=_number("SECONDS", 10))
    started = time.perf_counter()
    try:
        with scratch() as folder, cluster(folder, 3, 2, SETTINGS) as running:
            running.supervise()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report = runner.run(try_faults(running, plan))
    except NotStarted as error:
        raise SystemExit(str(error)) from None
    minutes = (time.perf_counter() - started) / 60
    when = {"date": time.strftime("%Y-%m-%d"), "minutes": round(minutes, 1)}
    RESULT.write_text(json.dumps(when | report.as_json(), indent=2) + "\n")
    print(f"\n{report.table()}\n\n{minutes:.0f} minutes; {RESULT} has each figure")
    return 0 if report.holds else 1


def _number(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal():
        raise SystemExit(f"{name}: {value} is no number. Right: make faults {name}={default}")
    return int(value)


if __name__ == "__main__":
    sys.exit(main())
