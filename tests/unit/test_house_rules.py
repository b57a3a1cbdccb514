"""The rules of the house that a machine can check."""

import grimp
import pytest

SHARED = {"dependencies", "models", "schemas"}
NOT_FEATURES = {"admin", "api", "cli", "core", "main", "models", "tasks", "worker"}


@pytest.fixture(scope="module")
def imports() -> list[tuple[str, str]]:
    graph = grimp.build_graph("app", cache_dir=None)  # graphs of different packages make each other's cache stale
    return [(module, target) for module in graph.modules for target in graph.find_modules_directly_imported_by(module)]


def feature(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_core_imports_no_feature(imports: list[tuple[str, str]]) -> None:
    assert [pair for pair in imports if feature(pair[0]) == "core" and feature(pair[1]) not in ("core", "")] == []


def test_a_feature_imports_another_only_through_what_it_shares(imports: list[tuple[str, str]]) -> None:
    wrong = [
        (module, target)
        for module, target in imports
        if feature(module) not in NOT_FEATURES
        and feature(target) not in {feature(module), "core", ""}
        and target.split(".")[2:3] not in [[name] for name in SHARED]
    ]
    assert wrong == []


def test_the_app_does_not_import_the_generator() -> None:
    graph = grimp.build_graph("app", "generator", cache_dir=None)
    assert graph.find_children("generator")
    assert graph.find_downstream_modules("generator", as_package=True) == set()


def test_only_get_db_and_migrations_commit() -> None:
    from pathlib import Path

    app = Path(__file__).parents[2] / "app"
    files = {path.relative_to(app).as_posix() for path in app.rglob("*.py") if ".commit(" in path.read_text()}
    assert files == {"core/database.py", "core/migrations.py"}
