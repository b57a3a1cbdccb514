"""A project that was made from an older Groundwork takes a newer one by a merge."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import processes
from tests.clones import Clone

# Where the generator stood when projects could first add entities with one command; it has moved since.
GENERATOR = "app/cli/generator/templates/models.py.jinja"
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def git(*words: str, folder: Path) -> str:
    run = subprocess.run(["git", *AUTHOR, *words], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, f"git {' '.join(words)}\n{run.stdout}\n{run.stderr}"
    return run.stdout.strip()


def older_commit() -> str | None:
    """The commit that brought the generator, when this is a clone with its history."""
    words = ["git", "log", "--diff-filter=A", "--format=%H", "--", GENERATOR]
    run = subprocess.run(words, cwd=processes.ROOT, capture_output=True, text=True)
    return run.stdout.split()[-1] if run.returncode == 0 and run.stdout else None


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Groundwork as it is in this folder, committed on top of its history."""
    if older_commit() is None:
        assert not os.environ.get("CI"), "CI needs the history: clone without --depth"
        pytest.skip("this folder has no history to take an older Groundwork from")
    folder = tmp_path / "template"
    git("clone", "--quiet", "--no-local", str(processes.ROOT), str(folder), folder=tmp_path)
    for path in git("ls-files", folder=folder).splitlines():
        (folder / path).unlink()
    processes.clone(folder, with_venv=False)
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--allow-empty", "--message", "Today", folder=folder)
    return folder


def test_an_older_project_takes_a_newer_groundwork(template: Path, tmp_path: Path) -> None:
    """Three entities and an edit of its own: the merge has no conflict, and the whole is proven."""
    project = tmp_path / "clone"
    git("clone", "--quiet", str(template), str(project), folder=tmp_path)
    git("reset", "--quiet", "--hard", str(older_commit()), folder=project)
    (project / ".venv").symlink_to(processes.BIN.parent)
    clone = Clone(project, processes.environment(PYTHONPATH=str(project), DATABASE_URL=f"sqlite:///{project}/app.db"))
    clone.app_each(
        [
            ["add", "Quoll", "title:str(200)", "year:int(1900..2100)?"],
            ["add", "Dunnart", "title:str(200)", "seconds:int(1..36000)", "--parent", "Quoll"],
            ["add", "Potoroo", "stripes:int=5", "quoll:ref(Quoll)?"],
        ]
    )
    edited = project / "benchmarks" / "bare.py"
    edited.write_text(edited.read_text() + "\n\n# An edit of its own.\n")
    git("add", "--all", folder=project)
    git("commit", "--quiet", "--message", "Our own", folder=project)
    git("remote", "add", "groundwork", str(template), folder=project)
    git("fetch", "--quiet", "groundwork", folder=project)
    git("merge", "--quiet", "--no-edit", "FETCH_HEAD", folder=project)
    assert edited.read_text().endswith("# An edit of its own.\n")
    clone.ok("ruff", "check", "--fix", "--quiet", "--no-cache", ".")  # make format: both sides' registry lines in order
    clone.check()
    clone.ok("app", "migrate")
    clone.ok("alembic", "check")
    suite = clone.suite("-k", "quoll or dunnart or potoroo or items", "tests/conformance/test_matrix.py")
    assert suite.returncode == 0, suite.stdout
