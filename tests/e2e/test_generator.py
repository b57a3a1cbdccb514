"""`app add`, `app remove`, `app add-field` and `app drop-field`, as they are typed in a clone."""

import json
import re
from pathlib import Path

import pytest
from anyio import to_thread

from tests import processes
from tests.clones import Clone

QUOKKA = [
    "Quokka",
    "title:str(200)",
    "notes:text?",
    "priority:enum(low,medium,high)=medium",
    "due_at:datetime?",
    "done:bool=false",
]
FIELDS = ["pouch:json?", "hops:int(1..5)=3", "burrow:str(9)?!", "kin:ref(Item)?", "furry:bool=true"]
MIGRATION = re.compile(r"^alembic/versions/.*_(quokkas|people|wombats)\.py$")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def test_an_entity_comes_and_goes(clone: Clone) -> None:
    """What is typed and read; then every file is as it was."""
    before = clone.files()
    planned = clone.ok("app", "add", *QUOKKA, "--dry-run")
    assert "  would create app/quokkas/models.py\n" in planned
    assert "      + from app.quokkas.models import Quokka\n" in planned
    assert clone.files() == before
    said = clone.ok("app", "add", *QUOKKA)
    assert said.splitlines()[0] == "Quokka at /api/v1/quokkas"
    added = {path for path in clone.files() if path not in before}
    assert {path.rpartition("/")[2] for path in added if path.startswith("app/quokkas/")} == {
        "__init__.py", "dependencies.py", "models.py", "router.py", "schemas.py",
    }  # fmt: skip
    assert len([path for path in added if MIGRATION.match(path)]) == 1
    assert "tests/integration/test_quokkas.py" in added
    again, gone = clone.app_each([["add", *QUOKKA], ["remove", "Quokka"]])
    assert again["line"] == "Quokka: is there already, in app/quokkas"
    assert gone["ok"]
    assert clone.files() == before
    assert not (clone.folder / "app" / "quokkas").exists()


@pytest.mark.parametrize("shown", ["", "from app.quokkas.admin import QuokkaView\nadmin.add(QuokkaView)\n"])
def test_what_the_admin_shows_of_an_entity_goes_with_it(clone: Clone, shown: str) -> None:
    """Whatever the project chose to show."""
    before = clone.files()
    assert clone.app("add", *QUOKKA)["ok"]
    registry = clone.folder / "app" / "admin.py"
    registry.write_bytes(before["app/admin.py"] + shown.encode())
    if shown:
        (clone.folder / "app" / "quokkas" / "admin.py").write_text('"""By hand."""\n')
    assert clone.app("remove", "Quokka", "--force")["ok"]
    assert clone.files() == before


def test_removing_keeps_what_was_changed_by_hand(clone: Clone) -> None:
    clone.app_each(
        [["add", *QUOKKA], ["add", "Wombat", "body:text", "--parent", "Item"], ["add", "Numbat", "body:text"]]
    )
    (clone.folder / "app" / "quokkas" / "service.py").write_text('"""By hand."""\n')
    (clone.folder / "app" / "users" / "report.py").write_text("from app.numbats.models import Numbat\n")
    router = clone.folder / "app" / "quokkas" / "router.py"
    router.write_text(router.read_text().replace("Read one quokka", "Read a quokka"))
    with_edits = clone.files()
    answers = clone.app_each([["remove", name] for name in ("Quokka", "Item", "Nothing", "Numbat")])
    changed, needed, unknown, imported = (answer["line"] for answer in answers)
    assert changed.startswith(
        "Quokka: changed by hand: app/quokkas/router.py, app/quokkas/service.py. To remove that too"
    )
    assert re.fullmatch(r"ExampleItem: is needed by .*Wombat.*: remove that first", needed)
    assert unknown.startswith("Nothing: no entity that app add made. There are: ")
    assert imported == "Numbat: is imported by app/users/report.py: take it out there first"
    assert [answer["code"] for answer in answers] == ["changed_by_hand", "in_use", "unknown_entity", "in_use"]
    assert clone.files() == with_edits


def test_removing_follows_what_the_database_has(clone: Clone) -> None:
    """A migration that nobody ran goes, and the next one moves up; one that was run is undone by another."""
    before = clone.files()
    clone.app_each([["add", *QUOKKA], ["add", "Wombat", "body:text", "--parent", "Item"], ["remove", "Quokka"]])
    clone.ok("app", "migrate")
    clone.app_each([["remove", "Wombat"]])
    left = [path for path in clone.files() if path not in before and path != ".env"]
    assert sorted(path.split("_", 3)[3] for path in left) == ["drop_wombats.py", "wombats.py"]
    clone.ok("python", "-c", DRIFT)


def test_two_heads_are_migrated_and_joined(clone: Clone) -> None:
    """As they are after a merge with a newer template that has migrations too."""
    first, second = clone.app_each([["add", name, "title:text"] for name in ("Quoll", "Dunnart")])
    here, there = ((clone.folder / answer["migration"]) for answer in (first, second))
    parent = re.search(r"^down_revision.*$", here.read_text(), re.MULTILINE)
    assert parent
    there.write_text(re.sub(r"^down_revision.*$", parent[0], there.read_text(), flags=re.MULTILINE))
    assert clone.ok("app", "migrate").count(", ") == 1
    joined = clone.app("add", "Potoroo", "title:text")
    assert re.search(r'down_revision: .* = \("\w+", "\w+"\)\n', (clone.folder / joined["migration"]).read_text())
    clone.ok("python", "-c", DRIFT)
    assert clone.ok("alembic", "heads").count("(head)") == 1
    clone.app("doctor")


async def test_fields_come_and_go_with_the_rows_in_place(empty_database: str, tmp_path: Path) -> None:
    """On a database with rows in it, and rows below those: nothing is lost, and no id is given out twice."""
    clone = Clone.make(tmp_path / "clone", DATABASE_URL=empty_database)
    await to_thread.run_sync(add_and_drop_fields, clone)


def add_and_drop_fields(clone: Clone) -> None:
    clone.app("add", "Wombat", "body:text", "--parent", "Item")
    clone.ok("python", "-c", ROWS, "before")
    clone.app("add-field", "Item", *FIELDS)
    clone.ok("python", "-c", ROWS, "with fields")
    clone.app("drop-field", "Item", "pouch", "hops", "burrow", "kin", "furry")
    clone.ok("python", "-c", ROWS, "after")
    example = (clone.folder / "app" / "examples" / "models.py").read_text()
    assert example == (processes.ROOT / "app" / "examples" / "models.py").read_text()


# Migrates, and looks for drift.
DRIFT = """
from alembic import command
from app.core.environment import load_settings
from app.core.db.migrations import alembic_config, upgrade
upgrade(load_settings())
command.check(alembic_config(load_settings()))
"""

# Then two items, of which the second is deleted, and a wombat below the first: later
# they are still there, and the next item has another id.
ROWS = (
    DRIFT
    + """
import asyncio, sys
from sqlalchemy import select
from app.auth.models import User
from app.wombats.models import Wombat
from app.core.database import Database
from app.examples.models import ExampleItem

async def fill(db):
    user = User(email="a@example.com", hashed_password="x")
    db.add(user)
    await db.flush()
    first, second = ExampleItem(user_id=user.id, title="1"), ExampleItem(user_id=user.id, title="2")
    for row in (first, second):
        db.add(row)
        await db.flush()
    db.add(Wombat(user_id=user.id, item_id=first.id, body="below"))
    await db.delete(second)

async def look(db):
    (item,), (wombat,) = list(await db.scalars(select(ExampleItem))), list(await db.scalars(select(Wombat)))
    assert (item.id, item.title, wombat.body, wombat.item_id) == (1, "1", "below", 1)
    if sys.argv[1] == "with fields":
        assert (item.hops, item.pouch, item.burrow, item.kin_id, item.furry) == (3, None, None, None, True)
    third = ExampleItem(user_id=item.user_id, title="3")
    db.add(third)
    await db.flush()
    assert third.id > 2, third.id
    await db.rollback()

async def main():
    database = Database(load_settings())
    async with database.sessions() as db:
        await (fill if sys.argv[1] == "before" else look)(db)
        await db.commit()
    await database.close()

asyncio.run(main())
"""
)


def test_a_field_of_a_file_that_was_changed_says_what_to_edit(clone: Clone) -> None:
    clone.app("add", *QUOKKA)
    schemas, tests = clone.folder / "app/quokkas/schemas.py", clone.folder / "tests/integration/test_quokkas.py"
    tests.write_text(tests.read_text() + "\n# by hand\n")
    answer = clone.app("add-field", "Quokka", "color:str(20)?")
    assert answer["left"] == ["tests/integration/test_quokkas.py"]
    schemas.write_text(schemas.read_text().replace('"""What', '"""All that'))
    before = clone.files()
    (refused,) = clone.app_each([["add-field", "Quokka", "shape:str(20)?"]])
    assert refused["code"] == "changed_by_hand"
    assert "+    shape: Shape | None = None\n" in refused["line"]
    assert clone.files() == before


def test_the_database_is_asked_what_it_has(clone: Clone) -> None:
    """A table that only the database has is not built upon, and one that it has is dropped by a migration."""
    clone.ok("app", "migrate")
    clone.ok("python", "-c", "import sqlite3; sqlite3.connect('app.db').execute('CREATE TABLE quokkas (id INTEGER)')")
    before = clone.files()
    (refused,) = clone.app_each([["add", *QUOKKA]])
    assert refused["line"].startswith("Quokka: the database has a table quokkas that the code does not know")
    clone.env["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    kept, removed, away = clone.app_each([["add", *QUOKKA], ["remove", "Quokka", "--keep-history"], ["remove", "Item"]])
    assert kept["ok"]
    assert removed["migration"].endswith("_drop_quokkas.py")
    assert away["code"] == "in_use"
    assert clone.files() != before


def test_one_document_for_programs(clone: Clone) -> None:
    added = clone.app("add", *QUOKKA)
    assert (added["entity"], added["path"], added["table"]) == ("Quokka", "/api/v1/quokkas", "quokkas")
    line = "+ from app.quokkas.models import Quokka"
    assert {"action": "change", "path": "app/models.py", "lines": [line]} in added["files"]
    lines = [line, "+ admin.add(Quokka)"]
    assert {"action": "change", "path": "app/admin.py", "lines": lines} in added["files"]
    assert added["next"][1] == ".venv/bin/app migrate"
    wrong = clone.run("app", "add", "Quokka2", "title:strange", "--json")
    assert (wrong.returncode, wrong.stderr) == (2, "")
    document = json.loads(wrong.stdout)
    assert document["error"]["code"] == "type"
    assert document["error"]["argument"] == "title:strange"
    assert document["ok"] is False


def test_a_word_that_no_command_takes(tmp_path: Path) -> None:
    env = processes.environment()
    unknown = processes.command("app", "add", "--no-such-option", "--json", folder=tmp_path, env=env)
    assert (unknown.returncode, json.loads(unknown.stdout)["error"]["code"]) == (2, "usage")
    mistyped = processes.command("app", "ad", folder=tmp_path, env=env)
    assert mistyped.stderr == "No such command 'ad'. Did you mean 'add'? Next: app --help\n"
    alone = processes.command("app", "add", folder=tmp_path, env=env)
    assert (alone.returncode, alone.stderr) == (2, "")
    assert "Usage: app add" in alone.stdout
