"""Whatever is typed wrong is one line that names the argument and what is accepted; exit code 2, nothing written."""

import pytest
from typer.testing import CliRunner

from app.cli.commands import cli
from tests.clones import Clone

BAD: list[tuple[list[str], str, str]] = [
    (["Gnu", "title:strange"], "type", "title:strange: strange is no type. Accepted: str(200)"),
    (["Gnu", "title"], "field", "title: not a field. Accepted: name:type"),
    (["Gnu", "title:"], "type", "title:: nothing is no type. Accepted: str(200)"),
    (["Gnu", "title:str"], "type", "title:str: Accepted: str(n) or str(least..most)"),
    (["Gnu", "title:str(0)"], "type", "title:str(0): Accepted: str(n) for 1 to n characters"),
    (["Gnu", "title:str(x)"], "type", "title:str(x): Accepted: str(n)"),
    (["Gnu", "title:str(5..2)"], "type", "title:str(5..2): Accepted: str(n)"),
    (["Gnu", "title:str(99999)"], "type", "title:str(99999): Accepted: str(n)"),
    (["Gnu", "n:int(5)"], "type", "n:int(5): Accepted: int(5): say both ends, like int(1..5)"),
    (["Gnu", "n:int(1..99999999999)"], "type", "n:int(1..99999999999): Accepted: int or int(least..most)"),
    (["Gnu", "n:decimal(2,5)"], "type", "n:decimal(2,5): Accepted: decimal(digits,places)"),
    (["Gnu", "n:decimal(40,2)"], "type", "n:decimal(40,2): Accepted: decimal(digits,places), up to 15 digits"),
    (["Gnu", "n:bool(1)"], "type", "n:bool(1): Accepted: bool takes nothing in brackets"),
    (["Gnu", "e:enum"], "type", "e:enum: Accepted: enum(one,two)"),
    (["Gnu", "e:enum()"], "type", "e:enum(): Accepted: enum(one,two)"),
    (["Gnu", "e:enum(a,a)"], "type", "e:enum(a,a): Accepted: enum(one,two)"),
    (["Gnu", "e:enum(a,')"], "type", "e:enum(a,'): Accepted: enum(one,two)"),
    (
        ["Gnu", "e:enum(low,high)=no"],
        "default",
        "e:enum(low,high)=no: the default does not fit. Accepted: one of low",
    ),
    (
        ["Gnu", "n:int(1..5)=9"],
        "default",
        "n:int(1..5)=9: the default does not fit. Accepted: a whole number from 1",
    ),
    (["Gnu", "b:bool=yes"], "default", "b:bool=yes: the default does not fit. Accepted: true or false"),
    (["Gnu", "s:str(3)=long"], "default", "s:str(3)=long: the default does not fit. Accepted: 1 to 3 characters"),
    (["Gnu", 's:text="quoted"'], "default", 's:text="quoted": the default does not fit. Accepted: letters, digits'),
    (["Gnu", "d:date=tomorrow"], "default", "d:date=tomorrow: the default does not fit. Accepted: a day"),
    (["Gnu", "d:datetime=2026-01-02T03:04"], "default", "d:datetime=2026-01-02T03:04: the default does not fit"),
    (["Gnu", "j:json={x}"], "default", "j:json={x}: the default does not fit. Accepted: {} or []"),
    (
        ["Gnu", "n:decimal(4,2)=1.234"],
        "default",
        "n:decimal(4,2)=1.234: the default does not fit. Accepted: a number",
    ),
    (["Gnu", "u:url=javascript:x"], "default", "u:url=javascript:x: the default does not fit. Accepted: an address"),
    (["Gnu", "r:ref(Item)=1"], "default", "r:ref(Item)=1: a reference has no default"),
    (["Gnu", "s:str(9)!=x"], "default", "s:str(9)!=x: a unique field has no default"),
    (["Gnu", "t:text!"], "index", "t:text!: text cannot be indexed on every database"),
    (["Gnu", "b:bool!"], "index", "b:bool!: there would be two rows at most"),
    (["Gnu", "s:str(5)??"], "field", "s:str(5)??: each of ? ! ^ once"),
    (["Gnu", "title:text", "title:int"], "duplicate_field", "title:int: there is a field title already"),
    (["Gnu", "r_id:int", "r:ref(Item)"], "duplicate_field", "r:ref(Item): there is a field r_id already"),
    (
        ["Gnu", "item:ref(Item)", "--parent", "Item"],
        "duplicate_field",
        "item:ref(ExampleItem): there is a field item_id",
    ),
    (["Gnu", "Title:text"], "field_name", "Title: not a field's name: small letters, digits and _, like title"),
    (["Gnu", "due-at:text"], "field_name", "due-at: not a field's name: small letters, digits and _, like due_at"),
    (["Gnu", "class:text"], "reserved_name", "class: is a name of Python; try gnu_class"),
    (["Gnu", "order:int"], "reserved_name", "order: is a reserved word of SQL; try gnu_order"),
    (["Gnu", "metadata:json"], "reserved_name", "metadata: is a name of the house; try gnu_metadata"),
    (["Gnu", "user_id:int"], "reserved_name", "user_id: is a name of the house; try gnu_user_id"),
    (["Gnu", "limit:int"], "reserved_name", "limit: is a"),
    (["Gnu"], "fields", "Gnu: an entity has at least one field, like title:str(200)"),
    (["gnu-list", "t:text"], "name", "gnu-list: not the name of a class: letters and digits, like GnuList"),
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
        ["Gnu", "r:ref(Nothing)"],
        "unknown_entity",
        "r:ref(Nothing): no entity that app add made. There are: ",
    ),
    (["Gnu", "r:ref()"], "reference", "r:ref(): Accepted: ref(Other), an entity that is there"),
    (["Gnu", "r:ref(User)"], "unknown_entity", "r:ref(User): no entity that app add made"),
    (
        ["Gnu", "r:ref(Gnu)"],
        "reference",
        "r:ref(Gnu): the first row has none to refer to. Right: r:ref(Gnu)?",
    ),
    (
        ["Gnu", "r:ref(Item)", "--superuser-only"],
        "reference",
        "would delete what is not theirs; let",
    ),
    (["Gnu", "t:text", "--parent", "Nothing"], "unknown_entity", "--parent Nothing: no entity that app add made"),
    (
        ["Gnu", "t:text", "--parent", "Item", "--public-read"],
        "parent",
        "--parent Item: --public-read: ExampleItem is",
    ),
    (["Gnu", "t:text", "--route", "My Gnus"], "route", "--route My Gnus: not one part of a path"),
    (["Gnu", "t:text", "--plural", "To-dos"], "plural", "To-dos: not a plural in small letters"),
    (
        ["Gnu", "t:text", "--plural", "example_items"],
        "already_there",
        "Gnu: its table example_items is there already",
    ),
    (["Gnu", "t:text", "--folder", "core"], "reserved_name", "Gnu: app/core is the house's own"),
    (["Gnu", "t:text", "--folder", "../x"], "folder", "../x: not a package's name"),
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
        (["drop-field", "Gnu", "t"], "fields"),
        (["remove", "Item"], "in_use"),
    ]
    words = [["add", "Gnu", "t:text"], *(words for words, _ in bad), ["remove", "Gnu"]]
    added, *answers, removed = clone.app_each(words)
    assert added["ok"]
    assert removed["ok"]
    assert [(answer["code"], answer["exit_code"]) for answer in answers] == [(code, 2) for _, code in bad]
    assert clone.files() == before


def test_a_line_for_people(clone: Clone) -> None:
    run = clone.run("app", "add", "Gnu", "title:strange")
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
        (answer,) = clone.app_each([["add", "Gnu", "t:text"]])
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
        (answer,) = clone.app_each([["add", "Gnu", "t:text"]])
        assert answer["line"].startswith("app/models.py: has no line like from app.gnus.models import Gnu")
        assert file.read_text() == '"""Nothing."""\n'
    finally:
        file.write_text(good)


@pytest.mark.parametrize("name", ["add", "remove", "add-field", "drop-field"])
def test_every_command_says_what_it_takes(name: str) -> None:
    assert "Usage" in CliRunner().invoke(cli, [name, "--help"]).stdout
