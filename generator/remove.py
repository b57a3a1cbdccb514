"""`app remove`"""

import ast
from collections.abc import Sequence
from pathlib import Path

from app.cli.report import Fault
from app.core.db.migrations import ROOT
from generator import registries
from generator.entity import Entity
from generator.history import History, Revision
from generator.known import ask_database
from generator.migrations import create_table, drop_table
from generator.outcome import finish
from generator.project import Project, parse
from generator.render import files
from generator.tree import Change, changing


def run(name: str, *, force: bool, keep_history: bool, dry_run: bool, as_json: bool) -> None:
    with changing(ROOT) as change:
        _remove(change, name, force=force, keep_history=keep_history, dry_run=dry_run, as_json=as_json)


def _remove(change: Change, name: str, *, force: bool, keep_history: bool, dry_run: bool, as_json: bool) -> None:
    project = Project(ROOT)
    entity = project.get(name)
    there = _files_of(entity)
    _check_unused(project, entity, there)
    rendered = files(entity, ROOT)
    if not force:
        _refuse(entity, [path for path in there if _text(path) != rendered.get(path)])
    for path in there:
        change.delete(path)
    registries.unregister(change, entity)
    migration = _take_migrations(change, entity, keep_history=keep_history, force=force)
    dropping = [f"read {migration}: it drops {entity.table} with all its rows", ".venv/bin/app migrate"]
    finish(
        change,
        f"{entity.name} is taken away",
        next_steps=dropping if migration else ["make test"],
        dry_run=dry_run,
        as_json=as_json,
        entity=entity.name,
        migration=migration,
    )


def _files_of(entity: Entity) -> list[str]:
    """What stands in its folder, and its tests."""
    found = [*(ROOT / "app" / entity.folder).rglob("*"), ROOT / entity.test_file]
    files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def _check_unused(project: Project, entity: Entity, own: Sequence[str]) -> None:
    """Raises Fault when another entity or a file of the project's needs it."""
    if dependents := project.dependents(entity):
        raise Fault("in_use", f"is needed by {', '.join(dependents)}: remove that first", argument=entity.name)
    others = {
        path.relative_to(ROOT).as_posix() for folder in ("app", "tests") for path in (ROOT / folder).rglob("*.py")
    }
    others -= {*own, registries.ADMIN, registries.API, registries.MODELS}
    users = [path for path in sorted(others) if _imports(ROOT / path, f"app.{entity.folder}")]
    if users:
        raise Fault("in_use", f"is imported by {', '.join(users)}: take it out there first", argument=entity.name)


def _imports(file: Path, package: str) -> bool:
    nodes = list(ast.walk(parse(file)))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return any(f"{module}.".startswith(f"{package}.") for module in modules)


def _refuse(entity: Entity, changed: Sequence[str]) -> None:
    if changed:
        why = f"changed by hand: {', '.join(changed)}. To remove that too: app remove {entity.name} --force"
        raise Fault("changed_by_hand", why, argument=entity.name)


def _take_migrations(change: Change, entity: Entity, *, keep_history: bool, force: bool) -> str | None:
    """Takes the entity's migrations away when no database has run them; else adds one that drops the table."""
    history = History(ROOT)
    about = history.about(entity.table)
    known = ask_database()
    if known is None and not keep_history:
        why = "cannot be reached, so that nobody knows whether it has the table. Start the database, or --keep-history"
        raise Fault("database", why, argument="DATABASE_URL", exit_code=1)
    applied = history.up_to(known.revisions) if known else set()
    are_its_own = all(revision.tables == {entity.table} for revision in about)
    if keep_history or not are_its_own or any(revision.id in applied for revision in about):
        path, text = drop_table(history, entity)
        change.write(path, text)
        return path
    if not force:
        _refuse(entity, _changed(history, entity, about))
    for revision in about:
        change.delete(revision.path)
    for path, text in history.without(about).items():
        change.write(path, text)
    return None


def _changed(history: History, entity: Entity, about: Sequence[Revision]) -> list[str]:
    """The first migration alone can be rendered again; those of single fields are known by their table only."""
    if len(about) != 1:
        return []
    _, text = create_table(history, entity, about[0].id, about[0].down)
    return [about[0].path] if text != about[0].text else []
