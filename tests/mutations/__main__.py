"""Takes each defence out, in a clone of the project, and runs the tests that must notice: exit 1 when one does not."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests import databases
from tests.clones import Clone
from tests.mutations import DEFENCES
from tests.mutations.defence import Defence

CLONES = 2


@contextmanager
def _without(clone: Clone, defence: Defence) -> Generator[None]:
    path = clone.folder / defence.file
    code = path.read_text()
    assert code.count(defence.text) == 1, f"the text is {code.count(defence.text)} times in the file, not once"
    path.write_text(code.replace(defence.text, defence.without))
    try:
        yield
    finally:
        path.write_text(code)


def outcome(clone: Clone, defence: Defence) -> str:
    """`killed by test_x`, or what came instead."""
    servers = {name: "" for backend, name in databases.SERVERS.items() if backend != defence.backend}
    only = ("-k", defence.backend) if defence.backend != "sqlite" else ()
    try:
        with _without(clone, defence):
            run = clone.suite("-n", "0", "--tb=no", "-rf", *only, *defence.tests, **servers)
    except AssertionError as error:
        return f"OUT OF DATE: {error}"
    failed = {line.split()[1].partition("[")[0] for line in run.stdout.splitlines() if line.startswith("FAILED ")}
    names = [re.sub(r".*::", "", test) for test in defence.tests]
    if set(defence.tests) <= failed:
        return f"killed by {', '.join(names)}"
    if run.returncode in (0, 1):
        return f"SURVIVED {', '.join(sorted(set(defence.tests) - failed))}"
    return f"NOT TESTED: pytest ended with {run.returncode}: {(run.stdout + run.stderr)[-500:]}"


def run(defences: Iterable[Defence]) -> Iterator[tuple[Defence, str]]:
    own = threading.local()
    with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:

        def try_one(defence: Defence) -> tuple[Defence, str]:
            if not hasattr(own, "clone"):
                own.clone = Clone.make(Path(folder) / str(threading.get_ident()))
            return defence, outcome(own.clone, defence)

        with ThreadPoolExecutor(CLONES) as pool:
            yield from pool.map(try_one, defences)


def main() -> int:
    """Those whose words hold what is in ONLY, or all."""
    chosen = [defence for defence in DEFENCES if os.environ.get("ONLY", "") in str(defence)]
    there = [defence for defence in chosen if defence.backend in databases.BACKENDS]
    bad = 0
    for defence, what in run(there):
        bad += not what.startswith("killed")
        print(f"{what:<9}  {defence}", flush=True)
    for defence in chosen:
        if defence not in there:
            print(f"not tried, {databases.SERVERS[defence.backend]} is not set  {defence}")
    print(f"{len(there)} defences, {len(there) - bad} killed, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
