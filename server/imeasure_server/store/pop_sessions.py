"""Sessions of picture-of-picture frames. All state is in the database: a restart of the server loses none.

How a frame is worked on, by one server at a time::

    claim = sessions.begin_frame(session_id, key_id, now)   # Refusal: unknown, ended, expired, or busy: ask again soon
    ...                                                      # measure; sessions.keep(claim, now) every 10 s
    session = sessions.end_frame(claim, frame, now)          # or sessions.release(claim) when measuring failed

A session that completes is charged *before* `end_frame`, with its reference: when the server dies in between, the
customer sends one more frame, it completes again, and is charged no second time.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, or_, select, update

from imeasure_server.store.database import Database
from imeasure_server.store.tables import pop_frames, pop_sessions

State = Literal["ready", "continue", "complete", "failed"]

LEASE = timedelta(seconds=30)
"""How long a claim holds unless it is kept: as long as a dead server can block a session."""
KEPT_AFTER_EXPIRY = timedelta(hours=1)
"""How long an ended or expired session is told from an unknown one; then it is deleted with its pictures."""

ID = re.compile(r"[0-9a-f]{16}")

MAX_FRAMES_EXCEEDED = "max_frames_exceeded"
MAX_FAILURES_EXCEEDED = "max_consecutive_failures_exceeded"
TIMED_OUT = "session_timeout"


@dataclass(frozen=True)
class PopLimits:
    """What a session may take."""

    max_frames: int = 20
    max_consecutive_failures: int = 5
    ttl_seconds: int = 300


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One frame.

    Attributes:
        good: whether it counts towards completion.
        vhs, vlas, spread: what was measured, or None.
        result: JSON; whatever is needed to answer with this frame later.
        rectified: JPEG of the flat screen, kept for good frames.
    """

    good: bool
    vhs: float | None
    vlas: float | None
    spread: float | None
    result: dict[str, Any]
    rectified: bytes | None = None


@dataclass(frozen=True, eq=False)
class PopSession:
    """A session as it is.

    Attributes:
        id: 16 hexadecimal digits.
        state: ``ready`` before the first frame, ``continue``, ``complete`` or ``failed``.
        error: why it failed: `MAX_FRAMES_EXCEEDED`, `MAX_FAILURES_EXCEEDED` or `TIMED_OUT`, else None.
        best_frame: index of the frame that it completed with, else None.
        frames: what was recorded, by index, without pictures (see `PopSessions.rectified`).
    """

    id: str
    key_id: int
    created: datetime
    expires: datetime
    max_frames: int
    max_consecutive_failures: int
    state: State
    error: str | None
    best_frame: int | None
    frames_processed: int
    good_frames: int
    consecutive_failures: int
    frames: tuple[FrameRecord, ...]

    @property
    def reference(self) -> str:
        """For `Usage.charge`."""
        return f"pop:{self.id}"


class Why(Enum):
    """Why a frame is not taken."""

    UNKNOWN = "unknown"
    """There is no such session of this customer, or no more."""
    ENDED = "ended"
    """It is complete or has failed."""
    EXPIRED = "expired"
    """It was not completed in time; it is now failed with ``session_timeout``."""
    BUSY = "busy"
    """Another frame of it is worked on: ask again in a moment."""


@dataclass(frozen=True, eq=False)
class Refusal:
    """A frame that is not taken; `session` is None when it is unknown."""

    why: Why
    session: PopSession | None = None


@dataclass(frozen=True, eq=False)
class Claim:
    """The right to work on the next frame of a session, whose index is ``session.frames_processed``."""

    session: PopSession
    token: str

    @property
    def frame_index(self) -> int:
        return self.session.frames_processed


class ClaimLost(Exception):
    """The claim was not kept in time and somebody else has the session: this frame is not recorded."""


class PopSessions:
    """The sessions in a database. Every method raises `StoreUnavailable` when the database fails."""

    def __init__(self, database: Database, limits: PopLimits | None = None) -> None:
        self._database = database
        self.limits = limits or PopLimits()

    def start(self, key_id: int, now: datetime) -> PopSession:
        """Begin a session of this customer; forget sessions that expired more than an hour ago."""
        row: dict[str, Any] = {
            "id": secrets.token_hex(8),
            "key_id": key_id,
            "created": now,
            "expires": now + timedelta(seconds=self.limits.ttl_seconds),
            "max_frames": self.limits.max_frames,
            "max_consecutive_failures": self.limits.max_consecutive_failures,
            "state": "ready",
            "frames_processed": 0,
            "good_frames": 0,
            "consecutive_failures": 0,
        }
        with self._database.writing() as connection:
            connection.execute(delete(pop_sessions).where(pop_sessions.c.expires < now - KEPT_AFTER_EXPIRY))
            connection.execute(insert(pop_sessions).values(row))
        return PopSession(**row, error=None, best_frame=None, frames=())

    def get(self, session_id: str, key_id: int) -> PopSession | None:
        """A session of this customer, or None."""
        with self._database.reading() as connection:
            return _read(connection, session_id, key_id)

    def begin_frame(self, session_id: str, key_id: int, now: datetime) -> Claim | Refusal:
        """Claim the session for one frame. A claim holds for `LEASE` after this or the last `keep`."""
        if ID.fullmatch(session_id) is None:
            return Refusal(Why.UNKNOWN)
        token = secrets.token_hex(16)
        mine = (pop_sessions.c.id == session_id) & (pop_sessions.c.key_id == key_id)
        active = pop_sessions.c.state.in_(("ready", "continue"))
        free = or_(pop_sessions.c.claim.is_(None), pop_sessions.c.claimed_until <= now)
        in_time = pop_sessions.c.expires > now
        claim = {"claim": token, "claimed_until": now + LEASE}
        with self._database.writing() as connection:
            taken = connection.execute(update(pop_sessions).where(mine, active, free, in_time).values(claim)).rowcount
            if not taken:
                timeout = {"state": "failed", "error": TIMED_OUT, "claim": None, "claimed_until": None}
                connection.execute(update(pop_sessions).where(mine, active, free, ~in_time).values(timeout))
            session = _read(connection, session_id, key_id)
        if session is None:
            return Refusal(Why.UNKNOWN)
        if taken:
            return Claim(session, token)
        if session.error == TIMED_OUT:
            return Refusal(Why.EXPIRED, session)
        return Refusal(Why.ENDED if session.state in ("complete", "failed") else Why.BUSY, session)

    def keep(self, claim: Claim, now: datetime) -> None:
        """Hold a claim for another `LEASE`.

        Raises:
            ClaimLost: it was not kept in time, and is somebody else's.
        """
        with self._database.writing() as connection:
            kept = update(pop_sessions).where(_held(claim)).values(claimed_until=now + LEASE)
            if not connection.execute(kept).rowcount:
                raise ClaimLost

    def release(self, claim: Claim) -> None:
        """Let a claim go without recording a frame; a claim that was lost is let alone."""
        with self._database.writing() as connection:
            free = {"claim": None, "claimed_until": None}
            connection.execute(update(pop_sessions).where(_held(claim)).values(free))

    def end_frame(self, claim: Claim, frame: FrameRecord, best_frame: int | None = None) -> PopSession:
        """Record the frame of a claim and let the claim go.

        Args:
            claim: from `begin_frame`.
            frame: what was found.
            best_frame: index of the frame to report (this one's is ``claim.frame_index``): the session is complete.
                None: it goes on, or fails with ``max_frames_exceeded`` or ``max_consecutive_failures_exceeded``.

        Raises:
            ClaimLost: nothing was recorded.
        """
        before = claim.session
        counts = {
            "frames_processed": before.frames_processed + 1,
            "good_frames": before.good_frames + int(frame.good),
            "consecutive_failures": 0 if frame.good else before.consecutive_failures + 1,
        }
        error = None if best_frame is not None else _failure(before, counts)
        state: State = "complete" if best_frame is not None else "failed" if error else "continue"
        values = {**counts, "state": state, "error": error, "best_frame": best_frame}
        with self._database.writing() as connection:
            ended = update(pop_sessions).where(_held(claim)).values(**values, claim=None, claimed_until=None)
            if not connection.execute(ended).rowcount:
                raise ClaimLost
            connection.execute(insert(pop_frames).values(_frame_row(claim, frame)))
            if state != "continue":
                others = update(pop_frames).where(pop_frames.c.session_id == before.id)
                if best_frame is not None:
                    others = others.where(pop_frames.c.frame_index != best_frame)
                connection.execute(others.values(rectified=None))
            session = _read(connection, before.id, before.key_id)
        assert session is not None
        return session

    def rectified(self, session: PopSession, frame_index: int) -> bytes | None:
        """The JPEG of a good frame; once the session has ended only of the best one."""
        wanted = select(pop_frames.c.rectified).where(
            pop_frames.c.session_id == session.id, pop_frames.c.frame_index == frame_index
        )
        with self._database.reading() as connection:
            picture = connection.execute(wanted).scalar_one_or_none()
        return None if picture is None else bytes(picture)


def _held(claim: Claim) -> Any:
    return (pop_sessions.c.id == claim.session.id) & (pop_sessions.c.claim == claim.token)


def _failure(session: PopSession, counts: dict[str, int]) -> str | None:
    """Which limit is reached."""
    if counts["frames_processed"] >= session.max_frames:
        return MAX_FRAMES_EXCEEDED
    if counts["consecutive_failures"] >= session.max_consecutive_failures:
        return MAX_FAILURES_EXCEEDED
    return None


def _frame_row(claim: Claim, frame: FrameRecord) -> dict[str, Any]:
    return {
        "session_id": claim.session.id,
        "frame_index": claim.frame_index,
        "good": frame.good,
        "vhs": frame.vhs,
        "vlas": frame.vlas,
        "spread": frame.spread,
        "result": frame.result,
        "rectified": frame.rectified if frame.good else None,
    }


_SESSION = [column for column in pop_sessions.c if column not in (pop_sessions.c.claim, pop_sessions.c.claimed_until)]
_FRAME = [pop_frames.c[name] for name in ("good", "vhs", "vlas", "spread", "result")]


def _read(connection: Connection, session_id: str, key_id: int) -> PopSession | None:
    """The session with its frames in one round trip. What a client sends as an id may be anything."""
    if ID.fullmatch(session_id) is None:
        return None
    rows = connection.execute(
        select(*_SESSION, *_FRAME)
        .join_from(pop_sessions, pop_frames, isouter=True)
        .where(pop_sessions.c.id == session_id, pop_sessions.c.key_id == key_id)
        .order_by(pop_frames.c.frame_index)
    ).all()
    if not rows:
        return None
    count = len(_SESSION)
    known = dict(zip((column.name for column in _SESSION), rows[0][:count], strict=True))
    frames = tuple(FrameRecord(*row[count:]) for row in rows if row[count] is not None)
    return PopSession(**known, frames=frames)
