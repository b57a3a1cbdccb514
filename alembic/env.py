"""How Alembic reaches the database: the app's settings, its models, and the lock that lets one process migrate."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrationScript, ModifyTableOps
from sqlalchemy import Column, Connection, False_, Table, True_, event, inspect, text

from app import models  # noqa: F401 - registers every table
from app.core.columns import ExactDecimal, ExactString, LongText, UTCDateTime
from app.core.config import Settings
from app.core.database import Base, Database
from app.core.db.migrations import StartupError, migration_lock, transaction_lock
from app.core.environment import load_settings

# Strings compare as they do on SQLite and PostgreSQL. Here and not in the models, where the options of a database would
# import its whole dialect at every start.
for table in Base.metadata.tables.values():
    table.kwargs.update(mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    # Both would be written as the database at hand has them, and run on the others too.
    if kind == "server_default" and isinstance(getattr(item, "arg", None), True_ | False_):
        return f"sa.{str(item.arg).lower()}()"
    if kind == "type" and isinstance(item, UTCDateTime | ExactString | ExactDecimal | LongText):
        name = type(item).__name__
        autogen.imports.add(f"from app.core.columns import {name}")
        arguments = {"ExactString": ("length",), "ExactDecimal": ("precision", "scale")}.get(name, ())
        return f"{name}({', '.join(str(getattr(item, argument)) for argument in arguments)})"
    return False


def leave_indexes_to_their_tables(_context: Any, _revision: Any, scripts: list[MigrationScript]) -> None:
    """A table that is dropped takes its indexes along; MySQL refuses to drop one that a foreign key needs."""
    for script in scripts:
        for operations in (script.upgrade_ops, script.downgrade_ops):
            if operations is not None:
                dropped = {part.table_name for part in operations.ops if isinstance(part, DropTableOp)}
                goes_along = [part for part in operations.ops if isinstance(part, ModifyTableOps)]
                for part in goes_along:
                    if part.table_name in dropped:
                        operations.ops.remove(part)


@event.listens_for(Table, "before_create")
def never_give_an_id_out_twice(table: Table, connection: Connection, **_options: Any) -> None:
    """SQLite's AUTOINCREMENT is not read back from the table that is copied."""
    is_copy = connection.dialect.name == "sqlite" and table.name.startswith("_alembic_tmp_")
    if is_copy and isinstance(table.autoincrement_column, Column):
        table.dialect_options["sqlite"]["autoincrement"] = True


@contextmanager
def tables_may_be_copied(connection: Connection) -> Generator[None]:
    """SQLite alters a table by copying it and dropping the first, which may neither cascade nor forget the last id.

    Raises:
        StartupError: a migration leaves a foreign key without its row.
    """
    before = last_ids(connection)
    yield
    after = last_ids(connection)
    for table, last_id in before.items():
        if table in inspect(connection).get_table_names() and after.get(table, 0) < last_id:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
            row = {"table": table, "last_id": last_id}
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :last_id)"), row)
    if orphan := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StartupError(f"a migration leaves a row of {orphan[0]} whose foreign key to {orphan[2]} leads nowhere")


def last_ids(connection: Connection) -> dict[str, int]:
    if "sqlite_sequence" not in inspect(connection).get_table_names(sqlite_include_internal=True):
        return {}
    return {row.name: row.seq for row in connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")}


def migrate(connection: Connection, settings: Settings) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")  # which is done before a transaction, or not at all
        cursor.close()
    with migration_lock(connection, settings):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            process_revision_directives=leave_indexes_to_their_tables,
            render_as_batch=is_sqlite,  # SQLite alters a table by copying it
            transactional_ddl=connection.dialect.name != "mysql",
        )
        with context.begin_transaction(), tables_may_be_copied(connection) if is_sqlite else nullcontext():
            transaction_lock(connection, settings)
            context.run_migrations()


async def connect() -> None:
    settings = context.config.attributes.get("settings") or load_settings()
    # A migration takes as long as it takes.
    database = Database(settings.model_copy(update={"db_statement_timeout_seconds": 0}))
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(migrate, settings)
    finally:
        await database.close()


asyncio.run(connect())
