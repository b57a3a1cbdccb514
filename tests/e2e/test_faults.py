"""Every part of a cluster is killed once while people use it: nothing is lost, doubled, stale or somebody else's.

`make faults` does the same many times at a higher rate, and measures; see docs/RELIABILITY.md.
"""

import pytest

from deploy.cluster.cluster import cluster, missing_packages
from deploy.cluster.servers import scratch
from tests.faults.report import OWED_JOBS
from tests.faults.run import SETTINGS, Plan, try_faults


@pytest.mark.whole_project
@pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}")
async def test_nothing_is_lost_whatever_is_killed() -> None:
    plan = Plan(faults=1, rolling=1, seconds=1, rate=30, people=20, jobs_timeout_s=0, says=False)
    with scratch() as folder, cluster(folder, 2, 1, **SETTINGS) as running:
        running.supervise()
        report = await try_faults(running, plan)
    assert report.total["answers"] > 0
    # A job of a worker that was killed runs when its lease is over: that takes longer than this test may.
    assert {name: count for name, count in report.zeros.items() if count and name != OWED_JOBS} == {}, report.as_json()
