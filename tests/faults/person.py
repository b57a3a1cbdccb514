"""One user of the API: what they ask for next, and what they make of the answer.

A user does one thing at a time, and repeats a write whose outcome is unknown until it is known; a POST only with an
Idempotency-Key, since without one nobody knows whether it would be done twice.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.client import Answer, NoAnswer, Request
from tests.faults.ledger import GONE, NOT_AS_ACKNOWLEDGED, Content, Entry, Finding, Ledger

API = "/api/v1"
FEW_ROWS, MANY_ROWS = 3, 20  # a user has about so many
MANY_KEYS = 45  # 50 are allowed
GAVE_UP = ("timeout", "504")  # the request may still be under way

ACTIONS = {"read": 40, "list": 15, "create": 14, "change": 20, "delete": 10, "make_key": 1}


@dataclass
class Step:
    """A request, and what it does to which row."""

    request: Request
    entry: Entry | None = None
    content: Content = GONE
    is_repeat: bool = False


class Person:
    def __init__(self, name: str, user_id: int, token: str, chance: random.Random) -> None:
        self.name = name
        self.ledger = Ledger(user_id)
        self.keys: dict[int, str] = {}
        """The API keys that were acknowledged, and their prefixes: a job sends a mail about each."""
        self._headers = {"Authorization": f"Bearer {token}"}
        self._chance = chance
        self._count = 0
        self._unknown: Step | None = None

    def next_step(self) -> Step:
        if self._unknown is not None:
            return self._unknown
        rows = [entry for entry in self.ledger.entries.values() if entry.is_there]
        if len(rows) < FEW_ROWS:
            return self._create()
        if len(rows) > MANY_ROWS:
            return self._delete(self._chance.choice(rows))
        return self._one_of(rows)

    def _one_of(self, rows: list[Entry]) -> Step:
        action = self._chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        entry = self._chance.choice(rows)
        if action == "create":
            return self._create()
        if action == "make_key" and len(self.keys) < MANY_KEYS:
            return self._step("POST", "/api-keys", body={"name": self.name})
        if action == "delete":
            return self._delete(entry)
        if action == "change" and not entry.may_change_late:
            return self._change(entry)
        if action == "read":
            return self._read()
        return self._step("GET", "/items?limit=100")

    def _create(self) -> Step:
        self._count += 1
        title = f"{self.name}-{self._count}"
        headers = {"Idempotency-Key": title} if self._chance.random() < 0.5 else {}
        body = {"title": title, "description": "0"}
        return self._step("POST", "/items", headers, body, self.ledger.entry(title), "0")

    def _change(self, entry: Entry) -> Step:
        self._count += 1
        content = str(self._count)
        headers = {"If-Match": entry.etag} if entry.etag and self._chance.random() < 0.3 else {}
        return self._step("PUT", f"/items/{entry.id}", headers, {"description": content}, entry, content)

    def _delete(self, entry: Entry) -> Step:
        return self._step("DELETE", f"/items/{entry.id}", entry=entry)

    def _read(self) -> Step:
        """Of the newest rows, those that are gone too."""
        known = [entry for entry in list(self.ledger.entries.values())[-30:] if entry.id is not None]
        entry = self._chance.choice(known)
        return self._step("GET", f"/items/{entry.id}", entry=entry)

    def _step(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        entry: Entry | None = None,
        content: Content = GONE,
    ) -> Step:
        return Step(Request(method, API + path, {**self._headers, **(headers or {})}, body), entry, content)

    def hear(self, step: Step, answer: Answer | NoAnswer) -> tuple[str | None, list[Finding]]:
        """The class of the failure, if it is one, and what the answer has that must not be."""
        if isinstance(answer, NoAnswer):
            return self._not_done(step, str(answer))
        if answer.status == 404 and step.entry is not None:
            return self._not_there(step, step.entry)
        if answer.status == 412:
            # Asked again by the load balancer, perhaps, after it was done. Nobody else changes the row: insist.
            del step.request.headers["If-Match"]
            return self._not_done(step, "412")
        if answer.status >= 400:
            return self._not_done(step, str(answer.status))
        self._unknown = None
        return None, self._done(step, answer)

    def _not_done(self, step: Step, kind: str) -> tuple[str, list[Finding]]:
        if step.entry is not None and step.request.method != "GET":
            step.entry.unknown.add(step.content)
            step.entry.may_change_late |= kind in GAVE_UP
            if step.request.method != "POST" or "Idempotency-Key" in step.request.headers:
                step.is_repeat = True
                self._unknown = step
        return kind, []

    def _not_there(self, step: Step, entry: Entry) -> tuple[str | None, list[Finding]]:
        self._unknown = None
        if step.request.method == "DELETE":
            entry.acknowledge(GONE)
            return (None, []) if step.is_repeat else ("404", [])
        if entry.may_be(GONE):
            return None, []
        return None, [Finding(NOT_AS_ACKNOWLEDGED, f"{entry.title} is 404, was {entry.acknowledged!r}")]

    def _done(self, step: Step, answer: Answer) -> list[Finding]:
        if step.request.path.endswith("/api-keys"):
            key = answer.json()
            self.keys[key["id"]] = key["prefix"]
            return []
        if step.entry is None:
            return self.ledger.findings(answer.json(), all_rows=True)
        if step.request.method != "GET":
            step.entry.acknowledge(step.content)
            step.entry.etag = answer.headers.get("etag")
        if step.request.method == "DELETE":
            return []
        row = answer.json()
        if step.request.method == "POST":
            step.entry.id = row["id"]
        return self.ledger.findings([row], all_rows=False)
