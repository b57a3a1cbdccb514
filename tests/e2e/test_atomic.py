"""A change of the files is made as a whole or not at all: whatever fails, and whenever its process dies."""

import subprocess
import sys
from pathlib import Path

import pytest

from generator.tree import STAGE, changing
from tests.clones import Clone

# Ends the process, with no chance to clean up, at the n-th time that it replaces or removes a file.
KILLED = """
import os, signal, sys
from pathlib import Path
left = int(sys.argv[1])
def dying(method):
    def call(*words, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*words, **options)
    return call
Path.replace, Path.unlink = dying(Path.replace), dying(Path.unlink)
from app.cli.commands import cli
cli(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone.make(tmp_path_factory.mktemp("atomic") / "clone")


def killed_at(clone: Clone, moment: int, words: list[str]) -> bool:
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(moment), *words], cwd=clone.folder, env=clone.env, capture_output=True
    )
    assert run.returncode in (0, -9), run.stderr
    return run.returncode == -9


@pytest.mark.parametrize("moment", [1, 6])
def test_a_killed_addition_leaves_nothing(clone: Clone, moment: int) -> None:
    """The next command of any process takes back what was done; a change that was complete stays."""
    before = clone.files()
    was_killed = killed_at(clone, moment, ["add", "Quokka", "title:text"])
    assert was_killed
    (answer,) = clone.app_each([["remove", "Nothing"]])
    assert answer["code"] == "unknown_entity"
    assert clone.files() == before
    assert not (clone.folder / STAGE).exists()


def test_a_killed_removal_and_a_killed_change_leave_everything(clone: Clone) -> None:
    clone.app("add", "Quokka", "title:text")
    before = clone.files()
    for moment, words in ((5, ["remove", "Quokka"]), (2, ["add-field", "Quokka", "notes:text?"])):
        assert killed_at(clone, moment, words)
        assert clone.files() != before
        with changing(clone.folder):  # as the next command does
            assert clone.files() == before
    clone.app("remove", "Quokka")


def test_what_was_edited_after_a_kill_is_left_alone(clone: Clone) -> None:
    registry = clone.folder / "app" / "models.py"
    good = registry.read_text()
    assert killed_at(clone, 10, ["add", "Quokka", "title:text"])
    assert "Quokka" in registry.read_text()
    registry.write_text(good + "# by hand\n")
    with changing(clone.folder):
        assert registry.read_text() == good + "# by hand\n"
        assert not (clone.folder / "app" / "quokkas").exists()
    registry.write_text(good)


def test_a_full_disk_leaves_everything(clone: Clone) -> None:
    """No file may be larger than a kibibyte: the third of the change is."""
    before = clone.files()
    words = ["bash", "-c", "ulimit -f 1; exec app add Quokka title:text"]
    # Coverage has files of its own to write.
    unmeasured = {name: value for name, value in clone.env.items() if not name.startswith("COVERAGE_")}
    run = Clone(clone.folder, unmeasured).run(*words, PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert run.returncode == 1
    assert run.stderr.endswith("File too large; nothing was changed\n")
    assert len(run.stderr.splitlines()) == 1
    assert clone.files() == before


def test_of_two_at_once_one_waits_for_nobody(clone: Clone) -> None:
    """Each of several additions at the same moment is made as a whole, or hears that another is at it."""
    before = clone.files()
    program = [str(Path(sys.executable).with_name("app")), "add"]
    crowd = [
        subprocess.Popen(
            [*program, name, "title:text", "--json"], cwd=clone.folder, env=clone.env, stdout=subprocess.PIPE
        )
        for name in ("Kowari", "Mulgara", "Ningaui")
    ]
    said = [process.communicate()[0] for process in crowd]
    added = [name for name in ("Kowari", "Mulgara", "Ningaui") if (clone.folder / f"app/{name.lower()}s").exists()]
    assert len(added) == sum(b'"ok": true' in document for document in said)
    assert all(b'"ok": true' in document or b'"busy"' in document for document in said)
    for name in added:
        (answer,) = clone.app_each([["remove", name, "--force"]])
        assert answer["ok"], answer
    assert clone.files() == before
