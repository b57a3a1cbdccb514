"""What came of it, as a table and as JSON."""

import os
import platform
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.ledger import DOUBLED, NOT_AS_ACKNOWLEDGED, WRONG_OWNER, Finding
from tests.faults.load import WITHOUT_RETRY_AFTER
from tests.faults.trials import Trials

RECOVERY_GOAL_S = 5.0
ROLLING = "a rolling restart"
OWED_JOBS = "jobs not done in the end"


@dataclass
class Report:
    rate: float
    """Requests a second, of which `saturation` were answered at most."""
    saturation: float
    usual_ms: dict[str, float]
    """The wait for an answer, from the moment that the schedule says, before the first fault."""
    trials: list[Trials] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)
    shown: list[Finding] = field(default_factory=list)
    """What was wrong with the rows that users were shown meanwhile."""
    left: list[Finding] = field(default_factory=list)
    """What was wrong with the rows in the end."""
    lost_jobs: list[str] = field(default_factory=list)
    owed_jobs: int = 0
    """They have not run when all were waited for."""

    @property
    def zeros(self) -> dict[str, int]:
        """What has to be 0."""
        shown, left = Counter(f.kind for f in self.shown), Counter(f.kind for f in self.left)
        restarts = [trials.failures for trials in self.trials if trials.name == ROLLING]
        return {
            "acknowledged writes lost": left[NOT_AS_ACKNOWLEDGED],
            "rows made twice": left[DOUBLED] + shown[DOUBLED],
            "rows shown to the wrong owner": left[WRONG_OWNER] + shown[WRONG_OWNER],
            "own writes not seen": shown[NOT_AS_ACKNOWLEDGED],
            "jobs lost": len(self.lost_jobs),
            OWED_JOBS: self.owed_jobs,
            "answers 500": self.total["500"],
            WITHOUT_RETRY_AFTER: self.total[WITHOUT_RETRY_AFTER],
            "failed requests during rolling restarts": sum(failures.total() for failures in restarts),
        }

    @property
    def details(self) -> list[str]:
        """What was found, as far as anybody would read."""
        found = [f"{finding.kind}: {finding.detail}" for finding in [*self.shown, *self.left]]
        return [*found, *(f"no mail about the key {key}" for key in self.lost_jobs)][:100]

    @property
    def slowest_recovery_s(self) -> float:
        return max((s for trials in self.trials if trials.name != ROLLING for s in trials.recoveries_s), default=0.0)

    @property
    def holds(self) -> bool:
        return not any(self.zeros.values()) and self.slowest_recovery_s <= RECOVERY_GOAL_S

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}",
            "python": platform.python_version(),
            "saturation_per_s": round(self.saturation, 1),
            "rate_per_s": round(self.rate, 1),
            "usual_ms": self.usual_ms,
            "answers": self.total["answers"],
            "zeros": self.zeros,
            "slowest_recovery_s": round(self.slowest_recovery_s, 2),
            "faults": [_as_json(trials) for trials in self.trials],
            "details": self.details,
        }

    def table(self) -> str:
        """In Markdown, as docs/RELIABILITY.md has it."""
        lines = [
            "| killed | times | recovery: median, slowest | back: median, slowest | longest answer | failed requests |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_row(trials) for trials in self.trials),
            "",
            *(f"{name}: {count}" for name, count in self.zeros.items()),
            f"answers: {self.total['answers']}, at {self.rate:.0f} a second of {self.saturation:.0f}; {self.usual_ms}",
        ]
        return "\n".join(lines)


def _row(trials: Trials) -> str:
    failures = ", ".join(f"{count} {kind}" for kind, count in sorted(trials.failures.items())) or "0"
    recovery, back = _spread(trials.recoveries_s), _spread(trials.backs_s)
    return (
        f"| {trials.name} | {len(trials.trials)} | {recovery} | {back} | {trials.longest_answer_s:.1f} s | {failures} |"
    )


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f} s, {seconds[-1]:.1f} s"


def _as_json(trials: Trials) -> dict[str, Any]:
    return {
        "name": trials.name,
        "times": len(trials.trials),
        "failures": dict(trials.failures),
        "recoveries_s": [round(s, 2) for s in trials.recoveries_s],
        "back_s": [round(s, 2) for s in trials.backs_s],
        "late": sum(trial.record.late for trial in trials.trials),
        "longest_answer_s": round(trials.longest_answer_s, 2),
    }
