"""`app add`"""

from collections.abc import Sequence

from app.cli.report import Fault
from app.core.db.migrations import ROOT
from generator import names, registries
from generator.columns import columns_of
from generator.entity import Entity, Options, parse_entity
from generator.history import History
from generator.known import ask_database
from generator.migrations import create_table, index_name
from generator.outcome import finish
from generator.project import Project
from generator.render import files
from generator.tree import Change, changing


def run(name: str, texts: Sequence[str], options: Options, *, dry_run: bool, as_json: bool) -> None:
    with changing(ROOT) as change:
        _add(change, name, texts, options, dry_run=dry_run, as_json=as_json)


def _add(change: Change, name: str, texts: Sequence[str], options: Options, *, dry_run: bool, as_json: bool) -> None:
    project = Project(ROOT)
    entity = project.complete(parse_entity(name, texts, options))
    project.check_free(entity)
    check_identifiers(entity)
    _check_database(entity)
    for path, text in files(entity, ROOT).items():
        change.write(path, text)
    registries.register(change, entity)
    migration, text = create_table(History(ROOT), entity)
    change.write(migration, text)
    finish(
        change,
        f"{entity.name} at /api/v1{entity.collection}",
        next_steps=[
            f"read {migration}",
            ".venv/bin/app migrate",
            f".venv/bin/pytest {entity.test_file} tests/conformance",
        ],
        dry_run=dry_run,
        as_json=as_json,
        entity=entity.name,
        path=f"/api/v1{entity.collection}",
        table=entity.table,
        migration=migration,
    )


def check_identifiers(entity: Entity) -> None:
    """Raises Fault when a database would cut a name short."""
    columns = [["user_id", column.name] if column.is_unique else [column.name] for column in columns_of(entity)]
    made = [index_name(entity, each) for each in columns]
    made += [f"fk_{entity.table}_{field.column}_{target.table}" for field, target in entity.references]
    longest = max(made, key=len)
    if len(longest) > names.MAX_IDENTIFIER_LENGTH:
        why = f"{longest} is longer than the {names.MAX_IDENTIFIER_LENGTH} characters that a database's names have"
        raise Fault("name", f"{why}; choose shorter names", argument=entity.name)


def _check_database(entity: Entity) -> None:
    known = ask_database()
    if known and entity.table in known.tables:
        why = f"the database has a table {entity.table} that the code does not know"
        raise Fault(
            "table_exists",
            f"{why}; app migrate, if a migration drops it, or another name or --plural",
            argument=entity.name,
        )
