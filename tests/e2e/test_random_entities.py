"""Entities drawn at random are added to a clone: its gate is green; they are removed, and every file is as it was.

`make prove-entities` draws more of them, on every database that is set.
"""

import os
from pathlib import Path

import pytest

from tests.clones import Clone
from tests.databases import SERVERS
from tests.random_entities import draw

CLONES = int(os.environ.get("PROVE_CLONES", "2"))
ENTITIES = int(os.environ.get("PROVE_ENTITIES", "3"))
FIRST_SEED = int(os.environ.get("PROVE_FIRST_SEED", "1"))

# The contract and the schema; the rest of the suite does not look at what is added.
SUITE = [
    "tests/conformance/test_matrix.py", "tests/integration/test_hostile.py", "tests/integration/test_migrations.py",
    "tests/integration/test_admin_entities.py", "tests/unit/test_models.py", "tests/unit/test_house_rules.py",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + CLONES))
def test_whatever_is_added_is_proven_and_goes_without_a_trace(seed: int, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    before = clone.files()
    drawn = draw(seed, ENTITIES)
    typed = "\n".join(f"app add {' '.join(one.words)}" for one in drawn)
    added = clone.app_each([["add", *one.words] for one in drawn])
    assert all(answer["ok"] for answer in added), f"{typed}\n{added}"
    clone.check()
    own = [file["path"] for answer in added for file in answer["files"] if file["path"].startswith("tests/")]
    on_every_database = seed == FIRST_SEED
    servers = {} if on_every_database else dict.fromkeys(SERVERS.values(), "")
    suite = clone.suite("-x", "-k", chosen(added), *SUITE, *own, **servers)
    assert suite.returncode == 0, f"{typed}\n{suite.stdout}\n{suite.stderr}"
    removed = clone.app_each([["remove", one.name] for one in reversed(drawn)])
    assert all(answer["ok"] for answer in removed), f"{typed}\n{removed}"
    assert clone.files() == before, typed


def chosen(added: list[dict]) -> str:
    """The tests of the routes that were added, and those that are about all."""
    routes = [answer["path"].rpartition("/")[2] for answer in added]
    files = ["test_migrations", "test_admin_entities", "test_models", "test_house_rules"]
    return " or ".join([*routes, *files, "unique", "declared", "says"])
