"""Keys, calls, picture-of-picture sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _keys()
    _calls()
    _pop_sessions()


def _keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created", _moment, nullable=False),
        sa.Column("revoked", _moment),
        sa.Column("last_used", _moment),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    in_use = sa.text("revoked IS NULL")
    op.create_index(
        "uq_api_keys_name_in_use", "api_keys", ["name"], unique=True, sqlite_where=in_use, postgresql_where=in_use
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key_id", sa.Integer, nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("patient", sa.LargeBinary(32)),
        sa.Column("vhs", sa.Float(53)),
        sa.Column("vlas", sa.Float(53)),
        sa.Column("call_type", sa.String(16), nullable=False),
        sa.Column("billed", sa.Boolean, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("monthly_usage", sa.Integer, nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("cents", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_calls_key_id"),
        sa.UniqueConstraint("key_id", "reference", name="uq_calls_key_id_reference"),
    )
    op.create_index("ix_calls_key_id_patient_at", "calls", ["key_id", "patient", "at"])
    billed, columns = sa.text("billed"), ["key_id", "month", "monthly_usage"]
    op.create_index(
        "uq_calls_number_in_month", "calls", columns, unique=True, sqlite_where=billed, postgresql_where=billed
    )


def _pop_sessions() -> None:
    op.create_table(
        "pop_sessions",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("key_id", sa.Integer, nullable=False),
        sa.Column("created", _moment, nullable=False),
        sa.Column("expires", _moment, nullable=False),
        sa.Column("max_frames", sa.Integer, nullable=False),
        sa.Column("max_consecutive_failures", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.String(64)),
        sa.Column("best_frame", sa.Integer),
        sa.Column("frames_processed", sa.Integer, nullable=False),
        sa.Column("good_frames", sa.Integer, nullable=False),
        sa.Column("consecutive_failures", sa.Integer, nullable=False),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", _moment),
        sa.PrimaryKeyConstraint("id", name="pk_pop_sessions"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_pop_sessions_key_id"),
    )
    op.create_index("ix_pop_sessions_expires", "pop_sessions", ["expires"])
    op.create_table(
        "pop_frames",
        sa.Column("session_id", sa.String(16), nullable=False),
        sa.Column("frame_index", sa.Integer, nullable=False),
        sa.Column("good", sa.Boolean, nullable=False),
        sa.Column("vhs", sa.Float(53)),
        sa.Column("vlas", sa.Float(53)),
        sa.Column("spread", sa.Float(53)),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("rectified", sa.LargeBinary),
        sa.PrimaryKeyConstraint("session_id", "frame_index", name="pk_pop_frames"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["pop_sessions.id"], name="fk_pop_frames_session_id", ondelete="CASCADE"
        ),
    )
