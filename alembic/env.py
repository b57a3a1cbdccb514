"""How Alembic reaches the database: the app's settings, its models, and the lock that lets one process migrate."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrationScript, ModifyTableOps
from sqlalchemy import Connection, False_, True_

from app import models  # noqa: F401 - registers every table
from app.core.config import load_settings
from app.core.database import Base, Database, ExactString, LongText, UTCDateTime
from app.core.migrations import migration_lock

# Strings compare as they do on SQLite and PostgreSQL. Here and not in the models, where the options of a database would
# import its whole dialect at every start.
for table in Base.metadata.tables.values():
    table.kwargs.update(mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    # Both would be written as the database at hand has them, and run on the others too.
    if kind == "server_default" and isinstance(getattr(item, "arg", None), True_ | False_):
        return f"sa.{str(item.arg).lower()}()"
    if kind == "type" and isinstance(item, UTCDateTime | ExactString | LongText):
        name = type(item).__name__
        autogen.imports.add(f"from app.core.database import {name}")
        return f"{name}({item.length})" if isinstance(item, ExactString) else f"{name}()"
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


def migrate(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    with migration_lock(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            process_revision_directives=leave_indexes_to_their_tables,
            render_as_batch=is_sqlite,  # SQLite alters a table by copying it
            transactional_ddl=connection.dialect.name != "mysql",
        )
        with context.begin_transaction():
            context.run_migrations()


async def connect() -> None:
    database = Database(context.config.attributes.get("settings") or load_settings())
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await database.close()


asyncio.run(connect())
