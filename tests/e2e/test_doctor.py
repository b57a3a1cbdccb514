"""`app doctor` finds what is wrong with a copy of the project, says it in one line each, and what mends it."""

import json
import re
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from typer.testing import CliRunner

from app.cli.commands import cli
from app.core.db.migrations import upgrade
from app.core.observability.setup import configure_logging
from tests import factories, processes

CHECKS = ["settings", "database", "connections", "migrations", "services", "registries", "docs", "policies"]


@pytest.fixture(autouse=True)
def logs() -> Generator[None]:
    """The application that the command makes sends every line to the command's standard error, which is closed."""
    yield
    configure_logging(factories.settings())


def here(env: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of a doctor who looks at this very project."""
    run = CliRunner().invoke(cli, ["doctor", "--json"], env=env)
    return run.exit_code, json.loads(run.stdout)


def faults(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The messages of each check that found something, and their mends."""
    assert [check["name"] for check in document["checks"]] == CHECKS
    assert all(check["ok"] is not bool(check["faults"]) for check in document["checks"])
    found = {
        check["name"]: {fault["message"]: fault["mend"] for fault in check["faults"]}
        for check in document["checks"]
        if not check["ok"]
    }
    assert document["ok"] is not bool(found)
    assert document["next"] == list(dict.fromkeys(next(iter(mends.values())) for mends in found.values()))
    return found


async def test_this_project_is_well(empty_database: str) -> None:
    await to_thread.run_sync(upgrade, factories.settings(database_url=empty_database))
    env = processes.safe(empty_database)
    code, document = await to_thread.run_sync(here, env)
    assert (faults(document), code) == ({}, 0)


def test_a_database_that_is_not_made_is_not_made(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["doctor"], env=processes.safe(f"sqlite:///{tmp_path}/app.db"))
    assert run.exit_code == 0
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == [f"ok    {name}" for name in CHECKS]
    assert "ok    database: not made yet: app migrate makes it\n" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_bad_settings() -> None:
    code, document = here(processes.safe("sqlite:///./app.db") | {"PORT": "eighty", "BCRYPT_ROUNDS": "99"})
    found = faults(document)
    assert code == 1
    assert [message.partition(":")[0] for message in found["settings"]] == ["BCRYPT_ROUNDS", "PORT"]
    mends = list(found["settings"].values())
    assert mends[1] == "in .env or the environment, PORT=a whole number from 1 to 65535"
    skipped = {"skipped: settings": mends[0]}
    assert found == {
        "settings": found["settings"],
        **dict.fromkeys(["database", "connections", "migrations", "services", "policies"], skipped),
    }


@pytest.mark.parametrize(
    ("written", "message", "mend"),
    [
        (
            "DATABASE_URI=x\nPOSTGRES_PASSWORD=of a compose file\n",
            "DATABASE_URI in .env is no setting",
            "name it DATABASE_URL, or take it out",
        ),
        ("APP_NAME='x\n", ".env, line 1: not understood", "correct it: NAME=value, in quotes that are closed"),
    ],
)
def test_a_file_that_does_not_say_what_it_seems_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, message: str, mend: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(written)
    code, document = here(processes.safe("sqlite:///./app.db"))
    assert (faults(document)["settings"], code) == ({message: mend}, 1)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "postgresql://nobody:secret@127.0.0.1:1/nothing",
            "postgresql+asyncpg://nobody:***@127.0.0.1:1/nothing cannot",
        ),
        ("mysql://nobody:secret@127.0.0.1:1/nothing", "mysql+asyncmy://nobody:***@127.0.0.1:1/nothing cannot be used"),
        ("sqlite:////no/such/folder/app.db", "there is no folder /no/such/folder"),
    ],
)
def test_a_database_that_cannot_be_reached(address: str, said: str) -> None:
    code, document = here(processes.safe(address))
    found = faults(document)
    assert code == 1
    ((message, mend),) = found["database"].items()
    assert message.startswith(f"DATABASE_URL: {said}")
    skipped = {"skipped: database": mend}
    assert found == {"database": {message: mend}, "connections": skipped, "migrations": skipped}
    assert "secret" not in json.dumps(document)


def test_a_database_that_is_behind(tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    run = CliRunner().invoke(cli, ["doctor"], env=processes.safe(f"sqlite:///{tmp_path}/app.db"))
    assert run.exit_code == 1
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("fault")]
    assert line.startswith("fault migrations: the database is at no revision, not at ")
    assert line.endswith("Mend: .venv/bin/app migrate")


def test_a_database_of_newer_code(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.executescript(
            "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('next')"
        )
    run = CliRunner().invoke(cli, ["doctor"], env=processes.safe(f"sqlite:///{tmp_path}/app.db"))
    assert run.exit_code == 0
    assert "ok    migrations: the database is at next, which is newer than this code\n" in run.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose database is at the head."""
    upgrade(factories.settings(database_url=f"sqlite:///{tmp_path}/app.db"))
    return processes.clone(tmp_path / "clone")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def doctor(clone: Path, *words: str) -> str:
    env = processes.safe(f"sqlite:///{clone.parent}/app.db") | {"PYTHONPATH": str(clone), "DEBUG": "true"}
    run = processes.command("app", "doctor", *words, folder=clone, env=env)
    assert (run.returncode, run.stderr) == (1, "")
    return run.stdout


TAGS = """

class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), index=True)
"""
PEEK = """
    @app.get("/peek")
    async def peek() -> str:
        return "all"

"""


def test_what_was_forgotten(clone: Path) -> None:
    """Models without a migration, a folder that no registry names, a route for everybody, docs of another time."""
    app = clone / "app"
    edit(app / "examples" / "models.py", "    is_completed:", "    note: Mapped[str | None]\n    is_completed:")
    edit(app / "examples" / "models.py", "title: Mapped[str]", "title: Mapped[str | None]")
    with (app / "examples" / "models.py").open("a") as file:
        file.write(TAGS)
    (app / "numbats").mkdir()
    (app / "numbats" / "router.py").touch()
    (app / "numbats" / "models.py").touch()
    (app / "numbats" / "tasks.py").touch()
    edit(app / "api.py", "from app.auth.router import router as auth\n", "")
    edit(
        app / "api.py",
        "import router as users\n",
        "import router as users\nfrom app.auth.router import router as auth\n",
    )
    edit(app / "api.py", "router.include_router(examples)\n", "")
    edit(
        app / "models.py",
        "from app.auth.models import AccountToken, AuthSession, RefreshToken, SignInChallenge, User\n",
        "",
    )
    edit(app / "models.py", "import ExampleItem\n", "import ExampleItem\nfrom app.auth.models import User\n")
    edit(app / "admin.py", "admin.add(AccountView)\n", "")
    edit(app / "admin.py", "(ExampleItem)\n", "(ExampleItem)\nadmin.add(AccountView)\nadmin.add(Numbat)\n")
    edit(app / "main.py", "    if settings.docs_enabled:", f"{PEEK}    if settings.docs_enabled:")
    edit(clone / "README.md", "(docs/PATTERNS.md)", "(docs/PATTERN.md)")
    edit(clone / "AGENTS.md", "## Docs", "`app/gone.py` [a](docs/GONE.md#part) [b](https://example.com) `make tea`")
    edit(clone / ".env.example", "# PORT=8000", "# PORTS=8000")
    assert faults(json.loads(doctor(clone, "--json"))) == {
        "migrations": {
            "models and database differ: add table tags, add index tags.idx_tags_name, add column example_items.note, "
            "modify nullable example_items.title": '.venv/bin/alembic revision --autogenerate -m "what changed", '
            "read what it wrote, .venv/bin/app migrate",
        },
        "registries": {
            "app/admin.py adds Numbat, which it does not import": "import it in app/admin.py, or take it out",
            "app/admin.py: the admin.add lines are not sorted": "sort them by their names",
            "app/api.py lacks examples": "add to app/api.py: router.include_router(examples)",
            "app/api.py lacks numbats": "add to app/api.py: from app.numbats.router import router as numbats; "
            "router.include_router(numbats)",
            "app/api.py: the imports are not sorted": "make format",
            "app/models.py lacks app.numbats.models": "add to app/models.py: from app.numbats.models import its models",
            "app/models.py: the imports are not sorted": "make format",
            "app/tasks.py lacks numbats": "add to app/tasks.py: from app.numbats import tasks as numbats",
        },
        "docs": {
            "AGENTS.md names docs/GONE.md, which is not there": "make it, or correct AGENTS.md",
            "AGENTS.md names app/gone.py, which is not there": "make it, or correct AGENTS.md",
            "AGENTS.md names make tea, which is not there": "make it, or correct AGENTS.md",
            "README.md names docs/PATTERN.md, which is not there": "make it, or correct README.md",
            ".env.example lacks PORT": "describe it there, with its default",
            ".env.example names PORTS, which Settings has not": "take it out, or add it to Settings",
        },
        "policies": {"GET /peek does not say who may call it": "let it take CurrentUser or Superuser, or say @public"},
    }


def test_what_is_broken(clone: Path) -> None:
    """Two heads, registries that do not parse, so that nothing can be imported, and a file that is gone."""
    newest = next((clone / "alembic" / "versions").glob("*_example_items.py"))
    newest.with_name("other.py").write_text(
        re.sub('^revision: str = ".*"', 'revision: str = "other"', newest.read_text(), flags=re.MULTILINE)
    )
    for name in ("api.py", "models.py"):
        with (clone / "app" / name).open("a") as file:
            file.write("from app.numbats import (\n")
    (clone / ".env.example").unlink()
    found = [line for line in doctor(clone).splitlines() if line.startswith("fault")]
    starts = (
        "migrations: 2 heads in alembic/versions: ",
        "migrations: the database is at ",
        "registries: app/api.py does not parse: '(' was never closed. Mend: correct line ",
        "registries: app/models.py does not parse: '(' was never closed. Mend: correct line ",
        f"docs: {clone}/.env.example: No such file or directory. Mend: git restore ",
        "policies: app.models cannot be imported: app/models.py:",
    )
    assert [start for line, start in zip(found, starts, strict=True) if not line.startswith(f"fault {start}")] == []
    assert found[0].endswith('Mend: .venv/bin/alembic merge heads -m "merge"')
    assert "SyntaxError: '(' was never closed" in found[-1]


def test_a_migration_that_is_no_python(clone: Path) -> None:
    with next((clone / "alembic" / "versions").glob("*_accounts.py")).open("a") as file:
        file.write("(\n")
    found = faults(json.loads(doctor(clone, "--json")))
    ((message, mend),) = found.pop("migrations").items()
    assert message.startswith("models and database cannot be compared: SyntaxError: '(' was never closed (2026_11_23_")
    assert mend == ".venv/bin/alembic check shows the whole of it"
    assert found == {}


def test_a_line_too_many(clone: Path) -> None:
    """The registries name a folder that is gone."""
    shutil.rmtree(clone / "app" / "examples")
    found = faults(json.loads(doctor(clone, "--json")))
    assert found["registries"] == {
        "app/admin.py names app.examples.models, which is not there": "take it out of app/admin.py",
        "app/api.py names examples, and there is no app/examples/router.py": "take it out of app/api.py",
        "app/models.py names app.examples.models, which is not there": "take it out of app/models.py",
    }
    line = (clone / "app" / "models.py").read_text().partition("from app.examples")[0].count("\n") + 1
    reason = f"app.models cannot be imported: app/models.py:{line}: ModuleNotFoundError: No module named 'app.examples'"
    assert (
        found["migrations"]
        == found["policies"]
        == {reason: '.venv/bin/python -c "import app.models" shows the whole of it'}
    )
