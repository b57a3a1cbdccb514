"""headers of stored responses"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1de4907e0008"
down_revision: str | Sequence[str] | None = "9a6e50f70007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("idempotency_keys") as batch:
        batch.add_column(sa.Column("headers", sa.Text(), nullable=True))


def downgrade() -> None:
    # Responses with headers are stored in base64, which the earlier version does not read.
    op.execute("DELETE FROM idempotency_keys WHERE headers IS NOT NULL")
    with op.batch_alter_table("idempotency_keys") as batch:
        batch.drop_column("headers")
