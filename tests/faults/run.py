"""The whole of it: people join, a steady load, the faults, and what there is compared with what was promised."""

import asyncio
from dataclasses import dataclass

from deploy.cluster.cluster import Cluster
from tests.faults.aftermath import jobs, rows_of, wrong_rows
from tests.faults.client import Client
from tests.faults.load import Load, Record, join
from tests.faults.report import ROLLING, Report
from tests.faults.trials import Trial, Trials, kill, kinds, rolling_restart, under_load

PEOPLE = 90  # nginx lets an address have 100 requests at once
AT_ONCE = 32
SHARE = 0.7
JOBS_TIMEOUT_S = 360  # one that the broker lost, or a worker that was killed, is sent again after five minutes

# What the load is not about: the limits count, and let everything through.
MANY = "1000000/minute"
SETTINGS = {
    "ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
    "BCRYPT_ROUNDS": "4",
    "ENVIRONMENT": "test",
    "RATE_LIMIT_USER": MANY,
    "RATE_LIMIT_AUTH": MANY,
}


@dataclass
class Plan:
    faults: int
    """How often each part is killed."""
    rolling: int
    seconds: float
    """For measuring the saturation, and then the usual waits."""
    rate: float | None = None
    """Requests a second; without it 70 % of the saturation."""
    people: int = PEOPLE
    jobs_timeout_s: float = JOBS_TIMEOUT_S
    """How long jobs may take that were under way when the worker or the broker was killed."""
    says: bool = True


async def try_faults(cluster: Cluster, plan: Plan) -> Report:
    """The cluster has to be supervised."""
    client = Client(cluster.url)
    try:
        people = await join(client, plan.people)
        load = Load(client, people)
        report = await _measured(load, plan)
        async with under_load(load, report.rate):
            await _faults(cluster, load, plan, report)
        report.total, report.shown = load.total, load.findings
        report.lost_jobs, report.owed_jobs = await jobs(cluster, people, plan.jobs_timeout_s)
        report.left = wrong_rows(people, await rows_of(cluster))
        return report
    finally:
        client.close()


async def _measured(load: Load, plan: Plan) -> Report:
    saturation = plan.rate or 0.0
    if plan.rate is None:
        await load.saturate(plan.seconds / 2, AT_ONCE)  # warm
        saturation = await load.saturate(plan.seconds, AT_ONCE)
    rate = plan.rate or saturation * SHARE
    load.record = Record()
    async with under_load(load, rate):
        await asyncio.sleep(plan.seconds)
    usual = {"median": load.record.wait_ms(0.5), "99 %": load.record.wait_ms(0.99)}
    if plan.says:
        print(f"{saturation:.0f} answers a second at most; {rate:.0f} are asked for: {usual} ms", flush=True)
    return Report(rate, saturation, usual)


async def _faults(cluster: Cluster, load: Load, plan: Plan, report: Report) -> None:
    for name, parts in kinds(cluster).items():
        report.trials.append(Trials(name))
        for number in range(plan.faults):
            await _add(report, plan, await kill(load, parts[number % len(parts)]))
    report.trials.append(Trials(ROLLING))
    for _ in range(plan.rolling):
        await _add(report, plan, await rolling_restart(load, cluster))


async def _add(report: Report, plan: Plan, trial: Trial) -> None:
    trials = report.trials[-1]
    trials.trials.append(trial)
    if plan.says:
        failures = dict(trial.record.failures) or "no failure"
        words = f"recovered in {trial.recovery_s:.1f} s, back in {trial.back_s:.1f} s, {failures}"
        print(f"{trials.name} {len(trials.trials)}: {words}", flush=True)
