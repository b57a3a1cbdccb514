"""pages of items"""

from collections.abc import Sequence

from alembic import op

revision: str = "9a6e50f70007"
down_revision: str | Sequence[str] | None = "2fac702e0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAME = "idx_example_items_user_id"


def upgrade() -> None:
    _index("user_id", "id")


def downgrade() -> None:
    _index("user_id")


def _index(*columns: str) -> None:
    if op.get_context().dialect.name == "mysql":
        # In one statement: its foreign key is never without an index.
        op.execute(f"ALTER TABLE example_items DROP INDEX {NAME}, ADD INDEX {NAME} ({', '.join(columns)})")
        return
    with op.batch_alter_table("example_items") as batch_op:
        batch_op.drop_index(NAME)
        batch_op.create_index(NAME, list(columns), unique=False)
