"""api keys"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.core.columns import ExactString, UTCDateTime

revision: str = "a9c1e5e50005"
down_revision: str | Sequence[str] | None = "acc0417e0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("prefix", ExactString(16), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("last_used_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )

    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.create_index(batch_op.f("idx_api_keys_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("idx_api_keys_prefix"), ["prefix"], unique=True)
        batch_op.create_index(batch_op.f("idx_api_keys_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_table("api_keys")
