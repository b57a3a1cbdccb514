"""example items"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.core.columns import LongText, UTCDateTime

revision: str = "e7a3b1e50002"
down_revision: str | Sequence[str] | None = "a1c0de5e0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "example_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", LongText(), nullable=True),
        sa.Column("is_completed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_example_items_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_example_items")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )

    with op.batch_alter_table("example_items") as batch_op:
        batch_op.create_index(batch_op.f("idx_example_items_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_table("example_items")
