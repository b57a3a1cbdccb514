"""What the fault trials call lost, doubled, stale and somebody else's."""

import json
import random
from typing import Any

import pytest

from tests.faults.aftermath import wrong_rows
from tests.faults.client import Answer, NoAnswer
from tests.faults.ledger import DOUBLED, NOT_AS_ACKNOWLEDGED, WRONG_OWNER
from tests.faults.person import Person, Step

Outcome = tuple[str | None, list[str]]


@pytest.fixture
def person() -> Person:
    return Person("somebody", 7, "token", random.Random(1))


def row(title: str = "somebody-1", content: str = "0", **values: Any) -> dict[str, Any]:
    return {"id": 1, "user_id": 7, "title": title, "description": content} | values


def hear(person: Person, step: Step, status: int | str, body: Any = None) -> Outcome:
    """The class of the failure, and the kinds of what was found."""
    no_answer = NoAnswer(status) if isinstance(status, str) else None
    kind, found = person.hear(step, no_answer or Answer(int(status), {"etag": '"1"'}, json.dumps(body).encode()))
    return kind, [finding.kind for finding in found]


def left(person: Person, *rows: dict[str, Any]) -> list[str]:
    return [finding.kind for finding in wrong_rows([person], rows)]


def created(person: Person) -> Step:
    """The person's first row."""
    step = person.next_step()
    assert hear(person, step, 201, row()) == (None, [])
    return step


def change(person: Person) -> Step:
    """A PUT of "2" that has not been answered."""
    step = person._change(person.ledger.entries["somebody-1"])
    assert step.content == "2"
    return step


def delete(person: Person) -> Step:
    return person._delete(person.ledger.entries["somebody-1"])


def test_what_is_there_as_acknowledged_is_right(person: Person) -> None:
    created(person)
    assert left(person, row()) == []
    assert hear(person, change(person), 200, row(content="2")) == (None, [])
    assert left(person, row(content="2")) == []
    assert hear(person, delete(person), 204) == (None, [])
    assert left(person) == []


@pytest.mark.parametrize("there", [[], [row(content="1")], [row(content="0")]])
def test_an_acknowledged_write_that_is_not_there_is_lost(person: Person, there: list[dict[str, Any]]) -> None:
    created(person)
    hear(person, change(person), 200, row(content="2"))
    assert left(person, *there) == [NOT_AS_ACKNOWLEDGED]


def test_a_row_that_was_deleted_and_is_there_is_a_lost_write(person: Person) -> None:
    created(person)
    hear(person, delete(person), 204)
    assert left(person, row()) == [NOT_AS_ACKNOWLEDGED]


@pytest.mark.parametrize("failure", ["reset", "timeout", 502, 503, 504])
def test_a_write_that_nobody_heard_of_may_have_happened_or_not(person: Person, failure: int | str) -> None:
    created(person)
    assert hear(person, change(person), failure) == (str(failure), [])
    assert left(person, row(content="0")) == []
    assert left(person, row(content="2")) == []
    assert left(person) == [NOT_AS_ACKNOWLEDGED]
    assert left(person, row(content="1")) == [NOT_AS_ACKNOWLEDGED]


def test_it_is_repeated_until_it_is_acknowledged_and_then_holds(person: Person) -> None:
    created(person)
    step = change(person)
    hear(person, step, "reset")
    assert person.next_step() is step
    assert hear(person, step, 503) == ("503", [])
    assert person.next_step() is step
    assert hear(person, step, 200, row(content="2")) == (None, [])
    assert left(person, row(content="0")) == [NOT_AS_ACKNOWLEDGED]


@pytest.mark.parametrize("failure", ["timeout", 504])
def test_a_row_is_not_changed_again_when_an_older_change_may_come_late(person: Person, failure: int | str) -> None:
    created(person)
    step = change(person)
    hear(person, step, failure)
    hear(person, step, 200, row(content="2"))
    entry = person.ledger.entries["somebody-1"]
    steps = [person._one_of([entry]) for _ in range(200)]
    assert "PUT" not in {step.request.method for step in steps}


def test_a_delete_that_is_repeated_may_find_nothing(person: Person) -> None:
    created(person)
    step = delete(person)
    hear(person, step, 502)
    assert left(person) == left(person, row()) == []
    assert hear(person, step, 404) == (None, [])
    assert left(person, row()) == [NOT_AS_ACKNOWLEDGED]


def test_a_delete_that_finds_nothing_at_once_is_a_failure(person: Person) -> None:
    created(person)
    assert hear(person, delete(person), 404) == ("404", [])


def test_a_post_is_repeated_only_with_a_key(person: Person) -> None:
    seen = set()
    for _ in range(20):
        person._unknown = None
        step = person._create()
        hear(person, step, "reset")
        seen.add(has_key := "Idempotency-Key" in step.request.headers)
        assert (person._unknown is step) == has_key
    assert seen == {True, False}


def test_a_post_that_nobody_heard_of_makes_one_row_or_none(person: Person) -> None:
    hear(person, person.next_step(), "reset")
    assert left(person) == left(person, row()) == []
    assert left(person, row(), row(id=2)) == [DOUBLED]


def test_a_repeat_that_is_given_another_row_is_found(person: Person) -> None:
    created(person)
    assert left(person, row(id=2)) == [DOUBLED]


def test_a_row_of_somebody_else_is_found(person: Person) -> None:
    created(person)
    listing = person._step("GET", "/items")
    assert hear(person, listing, 200, [row(), row("other-1", id=2, user_id=8)]) == (None, [WRONG_OWNER])
    assert hear(person, listing, 200, [row(), row("other-1", id=2)]) == (None, [WRONG_OWNER])
    assert left(person, row(), row("other-1", id=2, user_id=8)) == [WRONG_OWNER]


def test_a_list_without_an_own_row_is_older_than_the_write(person: Person) -> None:
    step = created(person)
    assert hear(person, person._step("GET", "/items"), 200, []) == (None, [NOT_AS_ACKNOWLEDGED])
    reading = person._step("GET", "/items/1", entry=step.entry)
    assert hear(person, reading, 404) == (None, [NOT_AS_ACKNOWLEDGED])
    assert hear(person, reading, 200, row(content="1")) == (None, [NOT_AS_ACKNOWLEDGED])
    assert hear(person, reading, 200, row()) == (None, [])


def test_a_change_that_was_too_late_for_its_etag_is_a_failure_and_insisted_on(person: Person) -> None:
    created(person)
    step = change(person)
    step.request.headers["If-Match"] = '"0"'
    assert hear(person, step, 412) == ("412", [])
    assert person.next_step() is step
    assert "If-Match" not in step.request.headers
