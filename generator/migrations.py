"""The migrations that are generated, in the form in which Alembic and ruff would write them."""

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from generator.columns import Column, columns_of
from generator.entity import Entity
from generator.history import FOLDER, History, written
from generator.render import formatted, with_imports

_TYPES = {name: f"from app.core.columns import {name}" for name in ("ExactDecimal", "LongText", "UTCDateTime")}
_IMPORTS = {
    "sa": "import sqlalchemy as sa",
    "op": "from alembic import op",
    "Sequence": "from collections.abc import Sequence",
    **_TYPES,
}


def create_table(
    history: History, entity: Entity, revision: str | None = None, down: Sequence[str] | None = None
) -> tuple[str, str]:
    return _file(
        history, entity.table, _create_table(entity), f'op.drop_table("{entity.table}")', revision=revision, down=down
    )


def drop_table(history: History, entity: Entity) -> tuple[str, str]:
    return _file(history, f"drop_{entity.table}", f'op.drop_table("{entity.table}")', _create_table(entity))


def add_columns(history: History, entity: Entity, columns: Sequence[Column]) -> tuple[str, str]:
    name = f"{entity.table}_{'_'.join(column.name for column in columns)}"
    return _file(history, name, _add(entity, columns), _remove(entity, columns))


def drop_columns(history: History, entity: Entity, columns: Sequence[Column]) -> tuple[str, str]:
    name = f"{entity.table}_without_{'_'.join(column.name for column in columns)}"
    return _file(history, name, _remove(entity, columns), _add(entity, columns))


def _file(
    history: History,
    name: str,
    up: str,
    down_body: str,
    *,
    revision: str | None = None,
    down: Sequence[str] | None = None,
) -> tuple[str, str]:
    """The path and the text of a migration that follows all that is there."""
    path = _free_path(history, name)
    body = (
        f'"""{name.replace("_", " ")}"""\n\n'
        f'revision: str = "{revision or uuid.uuid4().hex[:12]}"\n'
        f"down_revision: str | Sequence[str] | None = {written(history.heads if down is None else down)}\n"
        "branch_labels: str | Sequence[str] | None = None\n"
        "depends_on: str | Sequence[str] | None = None\n\n\n"
        f"def upgrade() -> None:\n{_indented(up)}\n\n\ndef downgrade() -> None:\n{_indented(down_body)}\n"
    )
    return path, formatted(with_imports(body, _IMPORTS), path, history.root)


def _free_path(history: History, name: str) -> str:
    day = f"{datetime.now(UTC):%Y_%m_%d}"
    names = [f"{day}_{name[:60]}{suffix}.py" for suffix in ("", *(f"_{number}" for number in range(2, 1000)))]
    return next(f"{FOLDER}/{each}" for each in names if not (history.root / FOLDER / each).exists())


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def _foreign_key(entity: Entity, column: Column) -> tuple[str, str, str] | None:
    """The constraint's name, the table that it leads to, and what a deletion there does."""
    match = re.match(r'ForeignKey\("(\w+)\.id", ondelete="([A-Z ]+)"\)', column.shape.column)
    return (f"fk_{entity.table}_{column.name}_{match[1]}", match[1], match[2]) if match else None


def _create_table(entity: Entity) -> str:
    columns = columns_of(entity)
    owner = ['sa.Column("user_id", sa.Integer(), nullable=False)'] if entity.is_owned else []
    keys = [_key(f"fk_{entity.table}_user_id_users", "user_id", "users", "CASCADE")] if entity.is_owned else []
    foreign = [(column.name, key) for column in columns if (key := _foreign_key(entity, column))]
    keys += [_key(name, column, table, on_delete) for column, (name, table, on_delete) in foreign]
    parts = [
        'sa.Column("id", sa.Integer(), nullable=False)',
        *owner,
        *(column.migration for column in columns),
        'sa.Column("created_at", UTCDateTime(), nullable=False)',
        'sa.Column("updated_at", UTCDateTime(), nullable=False)',
        *keys,
        f'sa.PrimaryKeyConstraint("id", name=op.f("pk_{entity.table}"))',
        'mysql_charset="utf8mb4"',
        'mysql_collate="utf8mb4_bin"',
        "sqlite_autoincrement=True",
    ]
    table = f'op.create_table(\n"{entity.table}",\n' + ",\n".join(parts) + ",\n)"
    indexes = [*([_owners_index(entity)] if entity.is_owned else []), *_indexes(entity, columns)]
    return f"{table}\n\n{_batch(entity, sorted(indexes))}" if indexes else table


def _key(name: str, column: str, table: str, on_delete: str) -> str:
    return f'sa.ForeignKeyConstraint(["{column}"], ["{table}.id"], name=op.f("{name}"), ondelete="{on_delete}")'


def _index(entity: Entity, columns: Sequence[str], *, unique: bool = False) -> str:
    named = ", ".join(f'"{column}"' for column in columns)
    return f'batch_op.create_index(batch_op.f("{index_name(entity, columns)}"), [{named}], unique={unique})'


def _owners_index(entity: Entity) -> str:
    return f'batch_op.create_index(batch_op.f("idx_{entity.table}_user_id"), ["user_id", "id"], unique=False)'


def index_name(entity: Entity, columns: Sequence[str]) -> str:
    return f"idx_{entity.table}_{'_'.join(columns)}"


def _unique_columns(entity: Entity, column: Column) -> list[str]:
    return ["user_id", column.name] if entity.is_owned else [column.name]


def _indexes(entity: Entity, columns: Sequence[Column]) -> list[str]:
    plain = [_index(entity, [column.name]) for column in columns if column.is_indexed]
    unique = [_index(entity, _unique_columns(entity, column), unique=True) for column in columns if column.is_unique]
    return plain + unique


def _batch(entity: Entity, lines: Sequence[str]) -> str:
    return f'with op.batch_alter_table("{entity.table}") as batch_op:\n' + "\n".join(f"    {line}" for line in lines)


def _add(entity: Entity, columns: Sequence[Column]) -> str:
    lines = [f"batch_op.add_column({column.migration})" for column in columns]
    for column in columns:
        if foreign := _foreign_key(entity, column):
            name, table, on_delete = foreign
            leads_to = f'"{table}", ["{column.name}"], ["id"], ondelete="{on_delete}"'
            lines.append(f'batch_op.create_foreign_key(batch_op.f("{name}"), {leads_to})')
    return _batch(entity, lines + _indexes(entity, columns))


def _remove(entity: Entity, columns: Sequence[Column]) -> str:
    lines = []
    for column in reversed(columns):
        if foreign := _foreign_key(entity, column):
            lines.append(f'batch_op.drop_constraint(batch_op.f("{foreign[0]}"), type_="foreignkey")')
        names = [[column.name]] * column.is_indexed + [_unique_columns(entity, column)] * column.is_unique
        lines += [f'batch_op.drop_index(batch_op.f("{index_name(entity, each)}"))' for each in names]
        lines.append(f'batch_op.drop_column("{column.name}")')
    return _batch(entity, lines)
