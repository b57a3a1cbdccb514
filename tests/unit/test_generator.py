"""The generator's words: plurals, names, and that the example is what it would write today."""

import re
from pathlib import Path

import pytest

from app.cli.report import Fault
from generator import names
from generator.entity import Options, parse_entity
from generator.history import History
from generator.migrations import create_table
from generator.project import Project
from generator.render import files
from tests.processes import ROOT
from tests.random_entities import draw


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("todo", "todos"), ("category", "categories"), ("day", "days"), ("box", "boxes"), ("address", "addresses"),
        ("branch", "branches"), ("brush", "brushes"), ("analysis", "analyses"), ("person", "people"),
        ("child", "children"), ("news", "news"), ("blog_post", "blog_posts"), ("sales_person", "sales_people"),
        ("api_key", "api_keys"), ("quiz", "quizzes"), ("company", "companies"), ("status", "statuses"),
    ],
)  # fmt: skip
def test_plurals(singular: str, plural: str) -> None:
    assert names.plural(singular) == plural


@pytest.mark.parametrize(
    ("noun", "said"),
    [("todo", "a todo"), ("item", "an item"), ("unit", "a unit"), ("hour", "an hour"), ("user group", "a user group")],
)
def test_articles(noun: str, said: str) -> None:
    assert names.article(noun) == said


def test_the_example_is_what_the_generator_writes() -> None:
    """To the byte, by the words in its own package: the pattern, the docs and the generator cannot drift."""
    example = Project(ROOT).get("ExampleItem")
    for path, text in files(example, ROOT).items():
        if path.startswith("app/"):
            assert (ROOT / path).read_text() == text, path
    history = History(ROOT)
    migration, *of_fields = history.about("example_items")
    if of_fields:  # this project has changed it, with `app add-field`
        return
    _, text = create_table(history, example, migration.id, migration.down)
    assert migration.text == text


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_read_back(seed: int, tmp_path: Path) -> None:
    """The words in a package's docstring are those that were typed, and everything follows from them."""
    for one in draw(seed, 1):
        words = [word for word in one.words[1:] if not word.startswith("--")]
        texts = [word for word in words if "ref(" not in word and ":" in word] or ["title:text"]
        entity = parse_entity(one.name, texts, Options(public_read=one.is_public))
        package = tmp_path / "app" / entity.folder
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(files(entity, ROOT)[f"app/{entity.folder}/__init__.py"])
        assert Project(tmp_path).entities == [entity]


def test_no_folder_takes_the_place_of_a_module_of_the_app() -> None:
    """Python would import the folder, and the module's tasks or routes would be nobody's."""
    for module in (ROOT / "app").glob("[a-z]*.py"):
        with pytest.raises(Fault, match=f"app/{module.stem} is the house's own; try --folder gnu_list"):
            names.check_folder("Gnu", module.stem)


def test_every_code_of_a_fault_is_told_to_agents() -> None:
    folders = (ROOT / "app" / "cli", ROOT / "generator")
    sources = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r'Fault\(\s*"(\w+)"', source)}
    told = set(re.findall(r"`(\w+)`", (ROOT / "AGENTS.md").read_text()))
    assert codes - told == set()
