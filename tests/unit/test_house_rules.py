"""Rules for imports and commits that the contracts of import-linter (pyproject.toml) cannot express."""

from pathlib import Path

import grimp
import pytest

SHARED = {"dependencies", "models", "schemas"}
NOT_FEATURES = {"admin", "api", "cli", "core", "main", "models", "state", "tasks", "worker"}
# Packages of core that a feature may import besides the modules at the top level of core.
OPEN_PACKAGES = {"admin", "jobs"}
# Features that are machinery themselves: the admin's sign-in, readiness and metrics.
EXCEPTIONS = {
    "app.auth.admin.route": {"http"},
    "app.auth.identity_cache": {"db"},
    "app.auth.router": {"db"},
    "app.auth.service": {"db"},
    "app.auth.throttle": {"limits", "settings"},
    "app.health.first_page": {"http"},
    "app.health.readiness": {"db", "settings"},
    "app.health.router": {"observability"},
}


@pytest.fixture(scope="module")
def imports() -> list[tuple[str, str]]:
    graph = grimp.build_graph("app", cache_dir=None)
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


def test_a_feature_imports_the_top_level_of_core(imports: list[tuple[str, str]]) -> None:
    wrong = [
        (module, target)
        for module, target in imports
        if feature(module) not in NOT_FEATURES and target.startswith("app.core.") and target.count(".") > 2
        if target.split(".")[2] not in OPEN_PACKAGES | EXCEPTIONS.get(module, set())
    ]
    assert wrong == []


def test_only_get_db_and_migrations_commit() -> None:
    app = Path(__file__).parents[2] / "app"
    files = {path.relative_to(app).as_posix() for path in app.rglob("*.py") if ".commit(" in path.read_text()}
    assert files == {"core/db/session.py", "core/db/migrations.py"}
