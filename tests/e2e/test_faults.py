"""Every part of a cluster is killed once while people use it: nothing is lost, doubled, stale or somebody else's.

`make faults` does the same many times at a higher rate, and measures; see docs/RELIABILITY.md.
"""

import subprocess
import sys

import pytest

from deploy.cluster.cluster import cluster, missing_packages
from deploy.cluster.servers import scratch
from tests import processes
from tests.faults.report import OWED_JOBS
from tests.faults.run import SETTINGS, Plan, try_faults


@pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}")
async def test_nothing_is_lost_whatever_is_killed() -> None:
    plan = Plan(faults=1, rolling=1, seconds=1, rate=30, people=20, jobs_timeout_s=0, says=False)
    with scratch() as folder, cluster(folder, 2, 1, SETTINGS) as running:
        running.supervise()
        report = await try_faults(running, plan)
    assert report.total["answers"] > 0
    # A job of a worker that was killed runs when its lease is over: that takes longer than this test may.
    not_zero = {name: count for name, count in report.zeros.items() if count and name != OWED_JOBS}
    assert not_zero == {}, "\n".join(report.details)


def test_a_number_that_is_none_is_said_on_one_line() -> None:
    words = [sys.executable, "-m", "tests.faults"]
    run = subprocess.run(
        words, cwd=processes.ROOT, env=processes.environment(FAULTS="many"), text=True, capture_output=True
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "FAULTS: many is no number. Right: make faults FAULTS=20\n"
