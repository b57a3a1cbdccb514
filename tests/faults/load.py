"""People who use the API at a steady rate, whatever it answers: a schedule, which does not wait for slow answers.

https://www.scylladb.com/2021/04/22/on-coordinated-omission/
"""

import asyncio
import math
import random
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.client import Answer, Client, NoAnswer, Request
from tests.faults.ledger import Finding
from tests.faults.person import API, Person

LATE_S = 0.1
CLEAN_S = 1.0
RECOVERY_TIMEOUT_S = 120
CATCH_UP_TIMEOUT_S = 15  # on a machine that is too slow for the load it never does
WITHOUT_RETRY_AFTER = "503 without Retry-After"
PASSWORD = "correct horse battery"


@dataclass
class Record:
    """What happened since it was begun."""

    answers: int = 0
    late: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    """From the moment that the schedule says to the answer."""
    longest_answer_s: float = 0.0
    """From the moment that it was sent."""
    last_failure: float = 0.0

    def wait_ms(self, part: float) -> float:
        """The percentile."""
        waits = sorted(self.waits_s)
        return round(waits[min(int(len(waits) * part), len(waits) - 1)] * 1000, 1) if waits else math.nan


class Load:
    def __init__(self, client: Client, people: list[Person]) -> None:
        self.people = people
        self.record = Record()
        self.total: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._client = client
        self._idle = deque(people)
        self._due: deque[float] = deque()
        self._sent: dict[asyncio.Task[None], float] = {}

    async def saturate(self, seconds: float, at_once: int) -> float:
        """Answers a second of so many people, each of whom asks as soon as the last answer is there."""
        end = time.perf_counter() + seconds
        before = self.record.answers

        async def ask(person: Person) -> None:
            while (now := time.perf_counter()) < end:
                await self._one(person, now)

        await asyncio.gather(*(ask(person) for person in self.people[:at_once]))
        return (self.record.answers - before) / seconds

    async def run(self, rate: float) -> None:
        """Until it is cancelled; what was sent by then is waited for."""
        started, count = time.perf_counter(), 0
        try:
            while True:
                due = started + count / rate
                if (ahead := due - time.perf_counter()) > 0:
                    await asyncio.sleep(ahead)
                self._due.append(due)
                count += 1
                self._send()
        finally:
            self._due.clear()
            await asyncio.gather(*self._sent)

    def _send(self) -> None:
        while self._due and self._idle:
            person, due, now = self._idle.popleft(), self._due.popleft(), time.perf_counter()
            self.record.late += now - due > LATE_S
            task = asyncio.create_task(self._one(person, due))
            self._sent[task] = now
            task.add_done_callback(lambda task, person=person: self._is_free(task, person))

    def _is_free(self, task: asyncio.Task[None], person: Person) -> None:
        del self._sent[task]
        self._idle.append(person)
        self._send()

    async def _one(self, person: Person, due: float) -> None:
        step, sent = person.next_step(), time.perf_counter()
        try:
            answer = await self._client.send(step.request)
        except NoAnswer as error:
            answer = error
        kind, found = person.hear(step, answer)
        now = time.perf_counter()
        self.record.waits_s.append(now - due)
        self.record.longest_answer_s = max(self.record.longest_answer_s, now - sent)
        self.findings += found
        self.total["answers" if kind is None else kind] += 1
        if kind is None:
            self.record.answers += 1
        else:
            self.record.failures[kind] += 1
            self.record.last_failure = now
            if kind == "503" and isinstance(answer, Answer) and "retry-after" not in answer.headers:
                self.total[WITHOUT_RETRY_AFTER] += 1

    async def recovered(self, since: float) -> float:
        """Seconds until a second began in which no request failed, when all that was sent before it is answered.

        Raises TimeoutError.
        """
        async with asyncio.timeout(RECOVERY_TIMEOUT_S):
            while True:
                clean_since, now = max(self.record.last_failure, since), time.perf_counter()
                oldest = min(self._sent.values(), default=now)
                if now - clean_since >= CLEAN_S and oldest >= clean_since:
                    return clean_since - since
                await asyncio.sleep(0.05)

    async def catch_up(self) -> None:
        """Until nobody is late any more, so that each fault finds the load that it should."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                while self._due:  # noqa: ASYNC110 - once a trial, and a look costs nothing
                    await asyncio.sleep(0.05)


async def join(client: Client, count: int, seed: int = 1) -> list[Person]:
    """So many people register and sign in."""
    limit = asyncio.Semaphore(8)

    async def person(number: int) -> Person:
        async with limit:
            name = f"person{number}"
            body = {"email": f"{name}@example.com", "password": PASSWORD}
            user = await client.send(Request("POST", f"{API}/auth/register", body=body))
            tokens = await client.send(Request("POST", f"{API}/auth/login", body=body))
            return Person(name, user.json()["id"], tokens.json()["access_token"], random.Random(seed * 1000 + number))

    return list(await asyncio.gather(*(person(number) for number in range(count))))
