"""account lifecycle"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.core.columns import ExactString, UTCDateTime

revision: str = "acc0417e0004"
down_revision: str | Sequence[str] | None = "0b0c5e5e0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=255), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit_events") as batch_op:
        batch_op.create_index(batch_op.f("idx_audit_events_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("idx_audit_events_event"), ["event"], unique=False)
        batch_op.create_index(batch_op.f("idx_audit_events_user_id"), ["user_id"], unique=False)

    op.create_table(
        "account_tokens",
        sa.Column("token_hash", ExactString(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("email", ExactString(255), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_account_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_account_tokens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("account_tokens") as batch_op:
        batch_op.create_index(batch_op.f("idx_account_tokens_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("idx_account_tokens_user_id"), ["user_id"], unique=False)

    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", ExactString(64), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_sessions.id"],
            name=op.f("fk_refresh_tokens_session_id_auth_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("refresh_tokens") as batch_op:
        batch_op.create_index(batch_op.f("idx_refresh_tokens_session_id"), ["session_id"], unique=False)

    # Whoever is signed in stays so.
    op.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at)"
        " SELECT refresh_token_hash, id, created_at FROM auth_sessions"
    )
    with op.batch_alter_table("auth_sessions") as batch_op:
        batch_op.add_column(sa.Column("last_used_at", UTCDateTime(), nullable=True))
        batch_op.drop_column("refresh_token_hash")
    op.execute("UPDATE auth_sessions SET last_used_at = created_at")
    with op.batch_alter_table("auth_sessions") as batch_op:
        batch_op.alter_column("last_used_at", existing_type=UTCDateTime(), nullable=False)

    with op.batch_alter_table("users") as batch_op:
        batch_op.add_column(sa.Column("email_verified_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("users") as batch_op:
        batch_op.drop_column("email_verified_at")

    op.drop_table("refresh_tokens")
    op.execute("DELETE FROM auth_sessions")  # their tokens are of a form that the older code does not know
    with op.batch_alter_table("auth_sessions") as batch_op:
        batch_op.add_column(sa.Column("refresh_token_hash", sa.String(length=64), nullable=False))
        batch_op.drop_column("last_used_at")

    op.drop_table("account_tokens")
    op.drop_table("audit_events")
