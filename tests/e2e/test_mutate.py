"""`make mutate` tells a defence that tests keep from one that nobody keeps, and from one that is not there."""

from dataclasses import replace
from pathlib import Path

from tests.clones import Clone
from tests.mutations.__main__ import outcome
from tests.mutations.defence import Defence, kept_by

KEPT = Defence(
    "of two fields of one name none is dropped",
    "app/core/http/strict_json.py",
    "if len(members) != len(pairs):",
    "if False:",
    kept_by("unit/test_strict_json test_what_is_not_is_refused"),
)


def test_what_becomes_of_a_defence(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    code = (clone.folder / KEPT.file).read_text()
    assert outcome(clone, KEPT) == "killed by test_what_is_not_is_refused"
    assert outcome(clone, replace(KEPT, without=KEPT.text)).startswith("SURVIVED tests/unit/test_strict_json.py::")
    assert outcome(clone, replace(KEPT, text="what nobody wrote")).startswith("OUT OF DATE")
    assert outcome(clone, replace(KEPT, without="if")).startswith("NOT TESTED")
    assert (clone.folder / KEPT.file).read_text() == code
