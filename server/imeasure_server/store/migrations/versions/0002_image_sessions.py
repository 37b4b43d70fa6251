"""Sessions of AIAA and MONAI Label clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "image_sessions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner", sa.LargeBinary(32)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created", _moment, nullable=False),
        sa.Column("last_used", _moment, nullable=False),
        sa.Column("expiry_seconds", sa.Integer, nullable=False),
        sa.Column("expires", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_image_sessions"),
    )
    op.create_index("ix_image_sessions_expires", "image_sessions", ["expires"])
