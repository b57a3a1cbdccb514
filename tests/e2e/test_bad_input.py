"""Whatever is typed wrong is one line that names the argument and what is accepted; exit code 2, nothing written."""

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.clones import Clone

BAD: list[tuple[list[str], str, str]] = [
    (["Todo", "title:strange"], "type", "title:strange: strange is no type. Accepted: str(200)"),
    (["Todo", "title"], "field", "title: not a field. Accepted: name:type"),
    (["Todo", "title:"], "type", "title:: nothing is no type. Accepted: str(200)"),
    (["Todo", "title:str"], "type", "title:str: Accepted: str(n) or str(least..most)"),
    (["Todo", "title:str(0)"], "type", "title:str(0): Accepted: str(n) for 1 to n characters"),
    (["Todo", "title:str(x)"], "type", "title:str(x): Accepted: str(n)"),
    (["Todo", "title:str(5..2)"], "type", "title:str(5..2): Accepted: str(n)"),
    (["Todo", "title:str(99999)"], "type", "title:str(99999): Accepted: str(n)"),
    (["Todo", "n:int(5)"], "type", "n:int(5): Accepted: int(5): say both ends, like int(1..5)"),
    (["Todo", "n:int(1..99999999999)"], "type", "n:int(1..99999999999): Accepted: int or int(least..most)"),
    (["Todo", "n:decimal(2,5)"], "type", "n:decimal(2,5): Accepted: decimal(digits,places)"),
    (["Todo", "n:decimal(40,2)"], "type", "n:decimal(40,2): Accepted: decimal(digits,places), up to 15 digits"),
    (["Todo", "n:bool(1)"], "type", "n:bool(1): Accepted: bool takes nothing in brackets"),
    (["Todo", "e:enum"], "type", "e:enum: Accepted: enum(one,two)"),
    (["Todo", "e:enum()"], "type", "e:enum(): Accepted: enum(one,two)"),
    (["Todo", "e:enum(a,a)"], "type", "e:enum(a,a): Accepted: enum(one,two)"),
    (["Todo", "e:enum(a,')"], "type", "e:enum(a,'): Accepted: enum(one,two)"),
    (["Todo", "e:enum(low,high)=no"], "default", "e:enum(low,high)=no: the default does not fit. Accepted: one of low"),
    (["Todo", "n:int(1..5)=9"], "default", "n:int(1..5)=9: the default does not fit. Accepted: a whole number from 1"),
    (["Todo", "b:bool=yes"], "default", "b:bool=yes: the default does not fit. Accepted: true or false"),
    (["Todo", "s:str(3)=long"], "default", "s:str(3)=long: the default does not fit. Accepted: 1 to 3 characters"),
    (["Todo", 's:text="quoted"'], "default", 's:text="quoted": the default does not fit. Accepted: letters, digits'),
    (["Todo", "d:date=tomorrow"], "default", "d:date=tomorrow: the default does not fit. Accepted: a day"),
    (["Todo", "d:datetime=2026-01-02T03:04"], "default", "d:datetime=2026-01-02T03:04: the default does not fit"),
    (["Todo", "j:json={x}"], "default", "j:json={x}: the default does not fit. Accepted: {} or []"),
    (["Todo", "n:decimal(4,2)=1.234"], "default", "n:decimal(4,2)=1.234: the default does not fit. Accepted: a number"),
    (["Todo", "u:url=javascript:x"], "default", "u:url=javascript:x: the default does not fit. Accepted: an address"),
    (["Todo", "r:ref(Item)=1"], "default", "r:ref(Item)=1: a reference has no default"),
    (["Todo", "s:str(9)!=x"], "default", "s:str(9)!=x: a unique field has no default"),
    (["Todo", "t:text!"], "index", "t:text!: text cannot be indexed on every database"),
    (["Todo", "b:bool!"], "index", "b:bool!: there would be two rows at most"),
    (["Todo", "s:str(5)??"], "field", "s:str(5)??: each of ? ! ^ once"),
    (["Todo", "title:text", "title:int"], "duplicate_field", "title:int: there is a field title already"),
    (["Todo", "r_id:int", "r:ref(Item)"], "duplicate_field", "r:ref(Item): there is a field r_id already"),
    (["Todo", "Title:text"], "field_name", "Title: not a field's name: small letters, digits and _, like title"),
    (["Todo", "due-at:text"], "field_name", "due-at: not a field's name: small letters, digits and _, like due_at"),
    (["Todo", "class:text"], "reserved_name", "class: is a name of Python; try todo_class"),
    (["Todo", "order:int"], "reserved_name", "order: is a reserved word of SQL; try todo_order"),
    (["Todo", "metadata:json"], "reserved_name", "metadata: is a name of the house; try todo_metadata"),
    (["Todo", "user_id:int"], "reserved_name", "user_id: is a name of the house; try todo_user_id"),
    (["Todo", "limit:int"], "reserved_name", "limit: is a"),
    (["Todo"], "fields", "Todo: an entity has at least one field, like title:str(200)"),
    (["todo-list", "t:text"], "name", "todo-list: not the name of a class: letters and digits, like TodoList"),
    (["2do", "t:text"], "name", "2do: not the name of a class: letters and digits, like Todo"),
    (["T" * 31, "t:text"], "name", "longer than 30 characters"),
    (["Page", "t:text"], "reserved_name", "Page: is a name of the house; try PageRecord"),
    (["Filter", "t:text"], "reserved_name", "Filter: is a name of Python; try FilterRecord"),
    (["Import", "t:text"], "reserved_name", "Import: is a name of Python; try ImportRecord"),
    (["User", "t:text"], "reserved_name", "User: is a name of the house; try UserRecord"),
    (["Item", "t:text"], "already_there", "Item: its path /items is there already, in app/examples/router.py"),
    (["ExampleItem", "t:text"], "already_there", "ExampleItem: is there already, in app/examples"),
    (["AuthSession", "t:text"], "already_there", "AuthSession: its class AuthSession is there already"),
    (
        ["Todo", "r:ref(Nothing)"],
        "unknown_entity",
        "r:ref(Nothing): no entity that app add made. There are: Ex",
    ),
    (["Todo", "r:ref()"], "reference", "r:ref(): Accepted: ref(Other), an entity that is there"),
    (["Todo", "r:ref(User)"], "unknown_entity", "r:ref(User): no entity that app add made"),
    (["Todo", "r:ref(Todo)"], "reference", "r:ref(Todo): the first row has none to refer to. Right: r:ref(Todo)?"),
    (
        ["Todo", "r:ref(Item)", "--superuser-only"],
        "reference",
        "would delete what is not theirs; let",
    ),
    (["Todo", "t:text", "--parent", "Nothing"], "unknown_entity", "--parent Nothing: no entity that app add made"),
    (["Todo", "t:text", "--parent", "Item", "--public-read"], "parent", "--parent Item: --public-read: ExampleItem is"),
    (["Todo", "t:text", "--route", "My Todos"], "route", "--route My Todos: not one part of a path"),
    (["Todo", "t:text", "--plural", "To-dos"], "plural", "To-dos: not a plural in small letters"),
    (
        ["Todo", "t:text", "--plural", "example_items"],
        "already_there",
        "Todo: its table example_items is there already",
    ),
    (["Todo", "t:text", "--folder", "core"], "reserved_name", "Todo: app/core is the house's own"),
    (["Todo", "t:text", "--folder", "../x"], "folder", "../x: not a package's name"),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone.make(tmp_path_factory.mktemp("bad") / "clone")


def test_bad_input_of_add(clone: Clone) -> None:
    before = clone.files()
    answers = clone.app_each([["add", *words] for words, _, _ in BAD])
    for (words, code, line), answer in zip(BAD, answers, strict=True):
        assert not answer["ok"], words
        assert (answer["code"], answer["exit_code"]) == (code, 2), (words, answer)
        assert line in answer["line"], answer["line"]
        assert "\n" not in answer["line"]
    assert clone.files() == before


def test_bad_input_of_the_others(clone: Clone) -> None:
    before = clone.files()
    bad = [
        (["add-field", "Nothing", "t:text?"], "unknown_entity"),
        (["add-field", "Item", "t:text"], "required_field"),
        (["add-field", "Item", "title:text?"], "duplicate_field"),
        (["add-field", "Item", "x:nonsense?"], "type"),
        (["drop-field", "Item", "nothing"], "unknown_field"),
        (["drop-field", "Item", "title", "description", "is_completed"], "fields"),
        (["remove", "Item"], "in_use"),
    ]
    answers = clone.app_each([words for words, _ in bad])
    assert [(answer["code"], answer["exit_code"]) for answer in answers] == [(code, 2) for _, code in bad]
    assert clone.files() == before


def test_a_line_for_people(clone: Clone) -> None:
    run = clone.run("app", "add", "Todo", "title:strange")
    assert run.returncode == 2
    assert run.stderr.startswith("title:strange: strange is no type. Accepted: str(200), ")
    assert len(run.stderr.splitlines()) == 1
    assert run.stdout == ""


@pytest.mark.parametrize("path", ["app/api.py", "app/users/router.py"])
def test_a_file_that_is_not_python_stops_it(clone: Clone, path: str) -> None:
    file = clone.folder / path
    good = file.read_text()
    file.write_text(good + "def (\n")
    before = clone.files()
    try:
        (answer,) = clone.app_each([["add", "Todo", "t:text"]])
        assert (answer["code"], answer["exit_code"]) == ("syntax", 1)
        assert path in answer["line"]
        assert clone.files() == before
    finally:
        file.write_text(good)


def test_a_registry_without_its_lines_stops_it(clone: Clone) -> None:
    file = clone.folder / "app" / "models.py"
    good = file.read_text()
    file.write_text('"""Nothing."""\n')
    try:
        (answer,) = clone.app_each([["add", "Todo", "t:text"]])
        assert answer["line"].startswith("app/models.py: has no line like from app.todos.models import Todo")
        assert file.read_text() == '"""Nothing."""\n'
    finally:
        file.write_text(good)


@pytest.mark.parametrize("name", ["add", "remove", "add-field", "drop-field"])
def test_every_command_says_what_it_takes(name: str) -> None:
    assert "Usage" in CliRunner().invoke(cli, [name, "--help"]).stdout
