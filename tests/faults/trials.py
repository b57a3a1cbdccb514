"""Killing the parts of a cluster under load, one after another, and looking at what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from deploy.cluster.cluster import Cluster
from deploy.cluster.servers import NotStarted, PostgreSQLReplica, Server
from tests.faults.load import Load, Record

BETWEEN_LOOKS_S = 0.2
BACK_TIMEOUT_S = 120
# A replica is back when an app is connected to it: to kill it while nobody looks at it would try nothing.
CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@dataclass
class Trial:
    """One fault, from its moment until people are served as before."""

    recovery_s: float
    """Until a second began in which nothing failed."""
    back_s: float
    """Until what was killed answered again, or the rolling restart was over."""
    record: Record


@dataclass
class Trials:
    """All those of one kind."""

    name: str
    trials: list[Trial] = field(default_factory=list)

    @property
    def failures(self) -> Counter[str]:
        return sum((trial.record.failures for trial in self.trials), Counter())

    @property
    def recoveries_s(self) -> list[float]:
        return sorted(trial.recovery_s for trial in self.trials)

    @property
    def backs_s(self) -> list[float]:
        return sorted(trial.back_s for trial in self.trials)

    @property
    def longest_answer_s(self) -> float:
        return max((trial.record.longest_answer_s for trial in self.trials), default=0.0)


@asynccontextmanager
async def under_load(load: Load, rate: float) -> AsyncGenerator[None]:
    running = asyncio.create_task(load.run(rate))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def kill(load: Load, part: Server) -> Trial:
    """kill -9; who is killed is started again by the cluster's supervisor."""
    try:
        return await _trial(load, part.kill, lambda: _is_back(part))
    except TimeoutError:
        said = "\n".join(part.log.read_text(errors="replace").splitlines()[-20:])
        raise NotStarted(f"{part.name} was killed, and all is not well after {BACK_TIMEOUT_S} s: {said}") from None


def _is_back(part: Server) -> bool:
    if isinstance(part, PostgreSQLReplica):
        with suppress(NotStarted):
            return part.sql(CONNECTED) != "0"
        return False
    return part.is_running and part.answers()


async def rolling_restart(load: Load, cluster: Cluster) -> Trial:
    return await _trial(load, cluster.rolling_restart, lambda: True)


async def _trial(load: Load, fault: Callable[[], None], is_back: Callable[[], bool]) -> Trial:
    load.record, started = Record(), time.perf_counter()
    await asyncio.to_thread(fault)
    async with asyncio.timeout(BACK_TIMEOUT_S):
        while not await asyncio.to_thread(is_back):  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(BETWEEN_LOOKS_S)
    back_s = time.perf_counter() - started
    recovery_s = await load.recovered(started)
    await load.catch_up()
    return Trial(recovery_s, back_s, load.record)


def kinds(cluster: Cluster) -> dict[str, Sequence[Server]]:
    """What is killed, each time the next of its kind."""
    return {
        "an app": cluster.apps,
        "the primary": [cluster.primary],
        "a replica": cluster.replicas,
        "Redis": [cluster.redis],
        "RabbitMQ": [cluster.broker],
        "the worker": [cluster.worker],
    }
