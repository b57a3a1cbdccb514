"""`make fuzz`: CASES cases on each database, SQLite and those of TEST_POSTGRES_URL and TEST_MYSQL_URL."""

import os
import sys
import tempfile
from pathlib import Path

from tests import databases
from tests.fuzz.drive import fuzz

CASES = 50_000


def main() -> int:
    cases, first_seed = int(os.environ.get("CASES") or CASES), int(os.environ.get("FIRST_SEED") or 1)
    found = 0
    for backend in databases.BACKENDS:
        with tempfile.TemporaryDirectory() as folder:
            report = fuzz(backend, Path(folder), cases, first_seed)
        print(f"{backend}: {report}", flush=True)
        found += len(report.faults)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
