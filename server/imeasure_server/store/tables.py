"""The tables. What changes here needs a migration in ``migrations/versions``."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    text,
)

HASH_BYTES = 32


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, in UTC, on databases that know no time zones as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(timezone.utc)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", LargeBinary(HASH_BYTES), nullable=False, unique=True),  # SHA-256 of the key
    Column("created", UtcDateTime, nullable=False),
    Column("revoked", UtcDateTime),
    Column("last_used", UtcDateTime),  # to the hour
    # A name is free again once its key is revoked.
    Index(
        "uq_api_keys_name_in_use",
        "name",
        unique=True,
        sqlite_where=text("revoked IS NULL"),
        postgresql_where=text("revoked IS NULL"),
    ),
)

# One row for each call that measured a heart: the billable event and the entry of the history are the same row, so
# that one can never be there without the other.
calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key_id", ForeignKey("api_keys.id"), nullable=False),
    Column("reference", String(64), nullable=False),  # a call is counted once however often it is reported
    Column("at", UtcDateTime, nullable=False),
    Column("patient", LargeBinary(HASH_BYTES)),  # SHA-256 of the uuid
    Column("vhs", Float(53)),
    Column("vlas", Float(53)),
    Column("call_type", String(16), nullable=False),
    Column("billed", Boolean, nullable=False),  # false for a recheck
    Column("month", String(7), nullable=False),  # YYYY-MM in UTC
    Column("monthly_usage", Integer, nullable=False),  # billed calls of the month, with this one if it is
    Column("tier", String(16), nullable=False),
    Column("cents", Integer, nullable=False),  # charged; 0 for a recheck
    UniqueConstraint("key_id", "reference"),
    Index("ix_calls_key_id_patient_at", "key_id", "patient", "at"),
    # Two calls can never be given the same number; also finds the last number of a month at once.
    Index(
        "uq_calls_number_in_month",
        "key_id",
        "month",
        "monthly_usage",
        unique=True,
        sqlite_where=text("billed"),
        postgresql_where=text("billed"),
    ),
)

pop_sessions = Table(
    "pop_sessions",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("key_id", ForeignKey("api_keys.id"), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False, index=True),
    Column("max_frames", Integer, nullable=False),
    Column("max_consecutive_failures", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", String(64)),  # why it failed
    Column("best_frame", Integer),
    Column("frames_processed", Integer, nullable=False),
    Column("good_frames", Integer, nullable=False),
    Column("consecutive_failures", Integer, nullable=False),
    Column("claim", String(32)),  # of the frame that is being worked on
    Column("claimed_until", UtcDateTime),
)

pop_frames = Table(
    "pop_frames",
    metadata,
    Column("session_id", ForeignKey("pop_sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("good", Boolean, nullable=False),
    Column("vhs", Float(53)),
    Column("vlas", Float(53)),
    Column("spread", Float(53)),
    Column("result", JSON, nullable=False),
    Column("rectified", LargeBinary),  # JPEG; good frames only, after the end the best one only
)

# Images that were uploaded once for several requests. The files are in the workspace, one folder for each id.
image_sessions = Table(
    "image_sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", LargeBinary(HASH_BYTES)),  # SHA-256 of the key it was made with; null where no key is asked for
    Column("name", String(255), nullable=False),  # of the file that was uploaded
    Column("digest", String(64), nullable=False),  # SHA-256 of its bytes, hexadecimal
    Column("size", BigInteger, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_used", UtcDateTime, nullable=False),
    Column("expiry_seconds", Integer, nullable=False),  # after the last use
    Column("expires", UtcDateTime, nullable=False, index=True),
)
