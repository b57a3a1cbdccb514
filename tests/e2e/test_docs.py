"""Every command of the docs is run, and whatever the docs name is there."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli.checks.docs import missing
from tests import processes
from tests.e2e.pages import PAGES, blocks

ROOT = processes.ROOT

# Run as a whole by `make check-pip` and by whoever reads this: they install from the index, or run this very suite.
ELSEWHERE = {
    "make test",
    "make setup EXTRAS=postgres",
    "make setup EXTRAS=celery",  # and `app worker`: test_the_command_migrates_and_works
    "pip install -r requirements.txt",
}


def renamed(code: str) -> str:
    """What the pages show, under a name that no project has: todos are what many have made of it."""
    return code.replace("Todo", "Quokka").replace("todo", "quokka")


def bash(script: str, folder: Path) -> str:
    """The output of a script that has to succeed, line by line."""
    env = processes.environment() | {"PYTHONPATH": str(folder)}
    words = ["bash", "-euo", "pipefail", "-c", script]
    run = subprocess.run(words, cwd=folder, env=env, text=True, capture_output=True, timeout=300)
    assert run.returncode == 0, f"{script}\n{run.stdout}\n{run.stderr}"
    return run.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return processes.clone(tmp_path / "clone")


def test_the_readme(clone: Path) -> None:
    scripts = [renamed(script) for script in blocks("README.md", "bash")]
    assert scripts[0] == "make run\n"
    env = processes.environment() | {"PYTHONPATH": str(clone)}
    with processes.server(clone, env, "/usr/bin/env", "make", "run") as server:
        for script in scripts[1:]:
            if script.splitlines()[0] not in ELSEWHERE:
                said = bash(script.replace("http://localhost:8000", server.url), clone)
                if "curl" in script:
                    assert said.count('"title":"My first item"') == 3
                    assert '"is_completed":true' in said
                elif "app add" in script:
                    assert said.startswith(renamed("Todo at /api/v1/todos\n"))
                else:
                    assert said == "admin@example.com is a superuser.\n"
        said = server.log.read_text()
    assert f"{server.url.replace('127.0.0.1', 'localhost')}/docs" in said
    assert "Try " in said
    assert (clone / ".env").read_text().startswith("SECRET_KEY=")
    assert (clone / "app.db").exists()


@pytest.mark.usefixtures("unmeasured")  # it runs a part of the suite
def test_the_quickstart(clone: Path) -> None:
    """Every command of it but those that serve, in its order; and what it shows is what was written."""
    add, proof, remove, change, by_hand, look = (renamed(code) for code in blocks("docs/QUICKSTART.md", "bash"))
    bash(add, clone)
    for code in blocks("docs/QUICKSTART.md", "python"):
        head, _, shown = renamed(code).partition("\n")
        assert shown in (clone / head.removeprefix("# ")).read_text(), head
    said = bash(proof.replace("make run\n", ""), clone)
    passed = re.search(r"(\d+) passed", said)
    assert passed
    assert int(passed[1]) > 40
    bash(change + ".venv/bin/app migrate\n" + by_hand, clone)
    migration = next((clone / "alembic" / "versions").glob("*_what_changed.py")).read_text()
    assert "op." not in migration  # nothing was left to migrate
    assert renamed("/api/v1/todos/{todo_id}") in bash(".venv/bin/app migrate\n" + look, clone)
    bash(remove, clone)
    assert not (clone / "app" / "quokkas").exists()


def test_the_deployment(tmp_path: Path) -> None:
    """What starts it; tests/e2e/test_cluster.py, test_backups.py and test_deployments.py are about the rest."""
    cluster = blocks("docs/DEPLOYMENT.md", "bash")[0]
    make_secrets, *of_docker = blocks("docs/deployment/containers.md", "bash")
    assert cluster == "make cluster\n"
    dry_run = processes.command("/usr/bin/env", "make", "-n", "cluster", folder=ROOT, env=processes.environment())
    assert "-m deploy.cluster" in dry_run.stdout
    bash(make_secrets, tmp_path)
    made = {line.partition("=")[0] for line in (tmp_path / ".env").read_text().splitlines()}
    files = (ROOT / "docker-compose.yml", ROOT / "deploy" / "compose" / "replicas.yml")
    assert made == set(re.findall(r"\$\{(\w+):\?", "".join(file.read_text() for file in files)))
    assert all("docker compose" in script for script in of_docker)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    assert list(missing(ROOT / page)) == []


def test_every_promise_names_tests_that_are_there() -> None:
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    rows = [line for line in (ROOT / "docs" / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    for row in rows:
        promise, *_, test = [cell.strip() for cell in row.strip("|").split(" | ")]
        named = re.findall(r"`(test_\w+|tests/[\w/.]+)`", test)
        claims_nothing = promise in ("promise", "risk", "requirement", "---") or re.search(
            r"\| (no|not applicable) \| \S", row
        )
        assert bool(named) is not bool(claims_nothing), row
        assert all(name in tests or (ROOT / name).exists() for name in named), row


def test_the_pages_are_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
    assert (ROOT / "AGENTS.md").stat().st_size < 8 * 1024
    assert (ROOT / "CLAUDE.md").read_text() == "@AGENTS.md\n"
    assert shutil.which("bash")
