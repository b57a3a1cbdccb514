"""`app add-field` and `app drop-field`"""

import difflib
from collections.abc import Sequence

from app.cli.report import Fault
from app.core.db.migrations import ROOT
from generator.add import check_identifiers
from generator.columns import columns_of
from generator.entity import Entity, check_unique_names
from generator.fields import Field, parse_field
from generator.history import History
from generator.migrations import add_columns, drop_columns
from generator.outcome import finish
from generator.project import Project
from generator.render import files
from generator.tree import Change, changing


def add_field(name: str, texts: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    with changing(ROOT) as change:
        _add(change, name, texts, dry_run=dry_run, as_json=as_json)


def _add(change: Change, name: str, texts: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    project = Project(ROOT)
    old = project.get(name)
    added = [_new_field(text, old) for text in texts]
    check_unique_names([*old.fields, *added])
    new = project.complete(old.with_fields([*old.fields, *added], ()))
    columns = [column for column in columns_of(new) if column.name in {field.column for field in added}]
    check_identifiers(new)
    kept = _rewrite(change, old, new)
    path, text = add_columns(History(ROOT), new, columns)
    change.write(path, text)
    _finish(change, new, kept, path, dry_run=dry_run, as_json=as_json)


def drop_field(name: str, columns: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    with changing(ROOT) as change:
        _drop(change, name, columns, dry_run=dry_run, as_json=as_json)


def _drop(change: Change, name: str, columns: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    project = Project(ROOT)
    old = project.get(name)
    there = {field.column: field for field in old.fields} | {field.name: field for field in old.fields}
    for column in columns:
        if column not in there:
            raise Fault("unknown_field", f"{old.name} has no such field. It has: {_listed(old)}", argument=column)
    dropped = [there[column] for column in columns]
    left = [field for field in old.fields if field not in dropped]
    if not left:
        raise Fault("fields", f"is all that {old.name} has; app remove {old.name} takes it away", argument=columns[0])
    new = project.complete(old.with_fields(left, ()))
    kept = _rewrite(change, old, new)
    gone = [column for column in columns_of(old) if column.field in dropped]
    path, text = drop_columns(History(ROOT), old, gone)
    change.write(path, text)
    _finish(change, new, kept, path, dry_run=dry_run, as_json=as_json)


def _listed(entity: Entity) -> str:
    return ", ".join(field.column for field in entity.fields)


def _new_field(text: str, entity: Entity) -> Field:
    field = parse_field(text, entity.name)
    if field.is_required:
        right = f"{text}?" if field.is_reference else f"{text}? or {text}=value"
        raise Fault("required_field", f"rows that are there have no value for it. Right: {right}", argument=text)
    return field


def _rewrite(change: Change, old: Entity, new: Entity) -> list[str]:
    """The files that differ between the two, where they still are as they were generated.

    Returns the tests that were changed by hand, which are left as they are.

    Raises:
        Fault: another file was changed by hand where it has to change; what to edit there is in its text.
    """
    before, after = files(old, ROOT), files(new, ROOT)
    edits, kept = [], []
    for path, text in after.items():
        there = change.current(path)
        if text == before[path] or (there is None and path == new.test_file):
            continue
        if there == before[path]:
            change.write(path, text)
        elif path == new.test_file:
            kept.append(path)
        else:
            edits.append(_edit(path, before[path], text))
    if edits:
        raise Fault(
            "changed_by_hand",
            f"changed by hand; nothing was written. What to edit:\n{''.join(edits)}",
            argument=new.name,
        )
    return kept


def _edit(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}", n=1
    )
    return "".join(lines)


def _finish(change: Change, entity: Entity, left: list[str], migration: str, *, dry_run: bool, as_json: bool) -> None:
    finish(
        change,
        f"{entity.name} has {_listed(entity)}",
        next_steps=[f"read {migration}", ".venv/bin/app migrate", "make test"],
        dry_run=dry_run,
        as_json=as_json,
        left=left,
        entity=entity.name,
        fields=[field.text for field in entity.fields],
        migration=migration,
    )
