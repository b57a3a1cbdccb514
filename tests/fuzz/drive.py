"""Drawing cases and sending them, operation by operation, as a user and as a superuser, until there were enough."""

import itertools
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import HypothesisDeprecationWarning, Unsatisfiable
from schemathesis import Case, GenerationMode, Response

from tests.fuzz.answers import faults
from tests.fuzz.world import WHO, World, running

MAX_TURN = 25


@dataclass
class Report:
    """What came of a run. A fault has the command that shows it."""

    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    succeeded: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    @property
    def cases(self) -> int:
        return sum(self.operations.values())

    def __str__(self) -> str:
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(self.statuses.items()))
        never = sorted(set(self.operations) - self.succeeded)
        lines = [
            f"{self.cases} cases, {len(self.operations)} operations, {self.seconds:.0f} s; {statuses}",
            *([f"never succeeded: {', '.join(never)}"] if never else []),
            *(f"{fault}\n    {command}" for fault, command in self.faults.items()),
        ]
        return "\n".join(lines)


def fuzz(backend: str, folder: Path, cases: int, first_seed: int = 1) -> Report:
    """So many cases on a database of its own; the same ones for the same seed."""
    set_hypothesis_home_dir(folder / "hypothesis")  # else it writes into the project
    report, started = Report(), time.perf_counter()
    with running(backend, folder) as world:
        schema = schemathesis.openapi.from_dict(world.document)
        turns = [
            Turn(world, report, operation, mode, who)
            for path in schema.values()
            for operation in path.values()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
            for who in WHO
        ]
        each = max(2, min(MAX_TURN, cases // len(turns)))
        for number in itertools.count(first_seed):
            turns = [turn for turn in turns if report.cases < cases and turn.take(each, number)]
            if not turns:
                break
        assert world.server.process.poll() is None, "the server died"
    report.seconds = time.perf_counter() - started
    return report


class Turn:
    """Somebody who tries one operation with valid or with invalid cases, some of them on rows that are there."""

    def __init__(
        self, world: World, report: Report, operation: schemathesis.APIOperation, mode: GenerationMode, who: str
    ) -> None:
        self._world, self._report, self._who = world, report, who
        self._label = operation.label
        self._operation = world.by_label.get(operation.label)  # None for what is not the API's: /health/live
        self._signs_out = bool(self._operation and self._operation.policy != "public")
        self._is_valid = mode is GenerationMode.POSITIVE
        self._strategy = operation.as_strategy(generation_mode=mode)
        self._session = requests.Session()

    def take(self, cases: int, number: int) -> bool:
        """Whether there is anything to try."""
        self._count = 0
        self._begin()

        @seed(number)
        @settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # nothing is shrunk: a fault is noted, and the run goes on
            suppress_health_check=list(HealthCheck),
        )
        @given(self._strategy)
        def try_each(case: Case) -> None:
            self._try(case)

        try:
            with warnings.catch_warnings():
                # Another thread's random, the runner's of the jobs, is taken for one in a strategy.
                warnings.simplefilter("ignore", HypothesisDeprecationWarning)
                try_each()
        except Unsatisfiable:  # an operation that takes nothing has no invalid cases
            return False
        return self._count > 0

    def _begin(self) -> None:
        """Somebody new, whose rows and passwords are as they were made."""
        self._person = self._world.person(self._who)
        self._places, self._body = {}, {}
        if self._operation:
            self._places = self._world.places(self._operation, self._person)
            self._body = self._world.body(self._operation, self._person)

    def _try(self, case: Case) -> None:
        self._count += 1
        self._report.operations[self._label] += 1
        if self._places and self._count % 4:
            case.path_parameters = dict(self._places)
        if self._is_valid and self._count % 2:
            case.headers.clear()  # an If-Match that was drawn is stale, and the rest of the request is not looked at
            if self._body and isinstance(case.body, dict):
                self._mix(case.body)
        response = self._send(case)
        if response is None:
            return
        self._report.statuses[response.status_code] += 1
        if response.status_code < 400:
            self._report.succeeded.add(self._label)
        for fault in faults(case, response):
            self._note(fault, case)
        if response.status_code == 401 and self._signs_out:
            self._begin()

    def _mix(self, body: dict[str, Any]) -> None:
        """A body that was drawn is seldom let in: one field of it is kept, or none; the others are as they should."""
        kept = [*body, None][self._count // 2 % (len(body) + 1)]
        body.update({name: value for name, value in self._body.items() if name != kept})

    def _send(self, case: Case) -> Response | None:
        try:
            return case.call(
                base_url=self._world.server.url,
                session=self._session,
                headers={"Authorization": f"Bearer {self._person.token}"},
            )
        except requests.RequestException as error:
            self._note(f"no answer: {type(error).__name__}", case)
            return None

    def _note(self, fault: str, case: Case) -> None:
        fault = f"{self._label}: {fault}"
        if fault not in self._report.faults:
            self._report.faults[fault] = case.as_curl_command()
