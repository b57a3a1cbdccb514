"""outbox"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.core.columns import ExactString, LongText, UTCDateTime

revision: str = "0b0c5e5e0003"
down_revision: str | Sequence[str] | None = "e7a3b1e50002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task", sa.String(length=200), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("key", ExactString(255), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("error", LongText(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )

    with op.batch_alter_table("outbox") as batch_op:
        batch_op.create_index(batch_op.f("idx_outbox_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("idx_outbox_finished_at"), ["finished_at"], unique=False)
        batch_op.create_index(batch_op.f("idx_outbox_state_id"), ["state", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("outbox")
