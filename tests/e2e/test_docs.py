"""Every command and snippet of the docs is run, and whatever the docs name is there."""

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.main import create_app
from tests import factories, processes

ROOT = processes.ROOT
PAGES = ["README.md", "AGENTS.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Run as a whole by `make check-pip` and by whoever reads this: they install from the index, or run this very suite.
ELSEWHERE = {"make test", "make setup EXTRAS=postgres", "pip install -r requirements.txt"}


def blocks(page: str, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall((ROOT / page).read_text()) if kind == language]


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
    scripts = blocks("README.md", "bash")
    assert scripts[0] == "make run\n"
    env = processes.environment() | {"PYTHONPATH": str(clone)}
    with processes.server(clone, env, "/usr/bin/env", "make", "run") as server:
        for script in scripts[1:]:
            if script.splitlines()[0] not in ELSEWHERE:
                said = bash(script.replace("http://localhost:8000", server.url), clone)
                if "curl" in script:
                    assert said.count('"title":"My first item"') == 3
                    assert '"is_completed":true' in said
                else:
                    assert said == "admin@example.com is a superuser.\n"
        said = server.log.read_text()
    assert f"{server.url.replace('127.0.0.1', 'localhost')}/docs" in said
    assert "Try " in said
    assert (clone / ".env").read_text().startswith("SECRET_KEY=")
    assert (clone / "app.db").exists()


def test_the_quickstart_adds_an_entity(clone: Path) -> None:
    """Its files, its commands, and the conformance suite on what came of them."""
    for code in blocks("docs/QUICKSTART.md", "python"):
        head, _, text = code.partition("\n")
        path = clone / head.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    said = [bash(script, clone) for script in blocks("docs/QUICKSTART.md", "bash")]
    passed = re.search(r"(\d+) passed", said[-1])
    assert passed
    assert int(passed[1]) > 20
    migration = next((clone / "alembic" / "versions").glob("*_notes.py")).read_text()
    assert "server_default=sa.false()" in migration
    assert "LongText()" in migration
    assert "drop_index" not in migration
    assert 'mysql_collate="utf8mb4_bin"' in migration
    bash(".venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/ty check", clone)


async def test_the_patterns(app: FastAPI, user: factories.Actor, superuser: factories.Actor) -> None:
    namespace: dict[str, Any] = {"__file__": __file__, "__name__": "docs_patterns"}
    for code in blocks("docs/PATTERNS.md", "python"):
        exec(compile(code, "docs/PATTERNS.md", "exec"), namespace)
    extended = create_app(app.state.settings)
    extended.state.database, extended.state.hasher = app.state.database, app.state.hasher
    extended.include_router(namespace["router"], prefix="/api/v1")
    mine, admin = (factories.Actor(extended, actor.id, actor.email, actor.token) for actor in (user, superuser))
    await namespace["test_an_item_is_completed_once"](mine)

    async def get(path: str, actor: factories.Actor = mine) -> tuple[int, Any]:
        response = await actor.http.get(f"/api/v1/patterns/{path}")
        return response.status_code, response.json()

    first, second = (await mine.http.get("/api/v1/items")).json()[0], await factories.item(mine)
    assert await get("summary") == (200, {"total": 2, "completed": 1})
    assert [row["id"] for row in (await get("recent"))[1]] == [second["id"], first["id"]]
    assert (await get("recent?days=0"))[0] == 422
    assert (await get(f"{first['id']}/with-age"))[1] == first | {"age_in_days": 0}
    assert [row["id"] for row in (await get(f"{first['id']}/siblings"))[1]] == [second["id"]]
    assert (await get("accounts-of-today"))[0] == 403
    assert await get("accounts-of-today", admin) == (200, 2)
    assert (await factories.client(extended).get("/api/v1/patterns/name")).json() == "Groundwork"
    assert await get("premium") == (402, {"detail": "The plan does not include this"})
    assert (await mine.http.post("/api/v1/patterns/attempt")).status_code == 409
    assert (await mine.http.get("/api/v1/items?q=tried&count=true")).headers["X-Total-Count"] == "1"
    assert (await mine.http.post("/api/v1/patterns/complete-all")).json() == 2
    assert (await get("lines"))[0] == 200


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
    for path in re.findall(r"`((?:app|tests|alembic|docs|benchmarks)/[\w./]+)`", text):
        assert (ROOT / path).exists() or path.startswith("app/notes"), path
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)\b(?=[`\s])", "\n".join(re.findall(r"`[^`]+`", text))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_promise_names_tests_that_are_there() -> None:
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    rows = [line for line in (ROOT / "docs" / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    for row in rows:
        promise, test = row.strip("| ").rsplit(" | ", 1)
        named = re.findall(r"`(test_\w+|tests/[\w/.]+)`", test)
        assert named or promise in ("promise", "---"), row
        assert all(name in tests or (ROOT / name).exists() for name in named), row


def test_the_pages_are_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
    assert (ROOT / "AGENTS.md").stat().st_size < 8 * 1024
    assert (ROOT / "CLAUDE.md").read_text() == "@AGENTS.md\n"
    assert shutil.which("bash")
