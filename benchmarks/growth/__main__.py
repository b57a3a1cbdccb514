"""What a million users and a billion items need: measured on a table of a million rows, then reckoned and simulated.

Run by `make bench-growth`, on a PostgreSQL of its own; ROWS=1000000. docs/SCALING.md shows what it printed.
"""

import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.growth import caching, plan, sharding, tables
from deploy.cluster.servers import PostgreSQL, running

ROWS = int(os.environ.get("ROWS", "1000000"))


def main() -> None:
    with running(PostgreSQL) as server, tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(tables.measure(server.url, ROWS))
        cpu_us = tables.cpu_of_requests(server.url, Path(folder))
    tables.show(measured, cpu_us)
    plan.show(measured, cpu_us)
    caching.show()
    sharding.show()


if __name__ == "__main__":
    main()
