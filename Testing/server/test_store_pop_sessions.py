"""Sessions of picture-of-picture frames, on SQLite and PostgreSQL."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select

from imeasure_server.store.database import Database
from imeasure_server.store.keys import Keys
from imeasure_server.store.pop_sessions import (
    LEASE,
    Claim,
    ClaimLost,
    FrameRecord,
    PopLimits,
    PopSession,
    PopSessions,
    Refusal,
    Why,
)
from imeasure_server.store.tables import pop_frames

NOW = datetime(2026, 3, 27, 15, 0, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
GOOD = FrameRecord(True, 10.4, 2.8, 0.003, {"confidence": "optimal", "points": [[0.1, 0.2]], "ü": None}, b"\xff\xd8\0a")
BAD = FrameRecord(False, None, None, None, {}, b"of no use")


class Customer:
    """One key and its sessions."""

    def __init__(self, database: Database, name: str = "Clinic", limits: PopLimits | None = None) -> None:
        self.id = Keys(database).create(name).id
        self.sessions = PopSessions(database, limits)

    def start(self, now: datetime = NOW) -> PopSession:
        return self.sessions.start(self.id, now)

    def claim(self, session: PopSession, now: datetime = NOW) -> Claim:
        claim = self.sessions.begin_frame(session.id, self.id, now)
        assert isinstance(claim, Claim)
        return claim

    def refusal(self, session_id: str, now: datetime = NOW) -> Refusal:
        refusal = self.sessions.begin_frame(session_id, self.id, now)
        assert isinstance(refusal, Refusal)
        return refusal

    def send(self, session: PopSession, frame: FrameRecord, best: int | None = None) -> PopSession:
        return self.sessions.end_frame(self.claim(session), frame, best)


@pytest.fixture
def customer(database: Database) -> Customer:
    return Customer(database)


def test_a_new_session(customer: Customer) -> None:
    session = customer.start()
    assert re.fullmatch("[0-9a-f]{16}", session.id)
    assert (session.state, session.frames_processed, session.good_frames, session.frames) == ("ready", 0, 0, ())
    assert (session.max_frames, session.max_consecutive_failures) == (20, 5)
    assert session.expires - session.created == timedelta(seconds=300)
    kept = customer.sessions.get(session.id, customer.id)
    assert vars(kept or session) == vars(session)
    assert customer.start().id != session.id


def test_frames_until_it_is_complete(customer: Customer, database: Database) -> None:
    session = customer.start()
    after = customer.send(session, GOOD)
    assert (after.state, after.frames_processed, after.good_frames) == ("continue", 1, 1)
    after = customer.send(session, BAD)
    assert (after.state, after.frames_processed, after.good_frames, after.consecutive_failures) == ("continue", 2, 1, 1)
    claim = customer.claim(session)
    assert claim.frame_index == 2
    assert [frame.good for frame in claim.session.frames] == [True, False]
    first = claim.session.frames[0]
    assert (first.vhs, first.vlas, first.spread, first.result) == (10.4, 2.8, 0.003, GOOD.result)
    assert customer.sessions.rectified(claim.session, 0) == GOOD.rectified
    assert customer.sessions.rectified(claim.session, 1) is None
    best = FrameRecord(True, 10.3, None, 0.002, {}, b"the best")
    done = customer.sessions.end_frame(claim, best, 2)
    assert (done.state, done.best_frame, done.error, done.consecutive_failures) == ("complete", 2, None, 0)
    # As after a restart: another object, another connection.
    again = Database(database.url.render_as_string(hide_password=False))
    sessions = PopSessions(again)
    kept = sessions.get(session.id, customer.id)
    assert kept is not None
    assert (kept.state, kept.best_frame, len(kept.frames)) == ("complete", 2, 3)
    assert [sessions.rectified(kept, index) for index in range(4)] == [None, None, b"the best", None]
    again.close()


def test_another_frame_may_be_the_best(customer: Customer) -> None:
    session = customer.start()
    customer.send(session, GOOD)
    done = customer.send(session, FrameRecord(True, 10.0, 2.0, 0.004, {}, b"worse"), 0)
    assert (done.state, done.best_frame) == ("complete", 0)
    assert [customer.sessions.rectified(done, index) for index in (0, 1)] == [GOOD.rectified, None]


def test_consecutive_failures(customer: Customer) -> None:
    session = customer.start()
    for frame in (BAD, BAD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD):
        assert customer.send(session, frame).state == "continue"
    failed = customer.send(session, BAD)
    assert (failed.state, failed.error) == ("failed", "max_consecutive_failures_exceeded")
    assert customer.sessions.rectified(failed, 4) is None
    assert customer.refusal(session.id).why is Why.ENDED


def test_the_last_frame(customer: Customer) -> None:
    session = customer.start()
    for index in range(19):
        assert customer.send(session, GOOD if index % 2 else BAD).state == "continue"
    failed = customer.send(session, BAD)
    assert (failed.state, failed.error, failed.frames_processed) == ("failed", "max_frames_exceeded", 20)


def test_the_last_frame_may_complete_it(database: Database) -> None:
    customer = Customer(database, limits=PopLimits(max_frames=1, max_consecutive_failures=1))
    assert customer.send(customer.start(), GOOD, 0).state == "complete"
    assert customer.send(customer.start(), GOOD).error == "max_frames_exceeded"


def test_a_session_keeps_the_limits_that_it_began_with(database: Database) -> None:
    customer = Customer(database, limits=PopLimits(2, 2, 60))
    session = customer.start()
    customer.sessions = PopSessions(database)
    customer.send(session, GOOD)
    assert customer.send(session, GOOD).error == "max_frames_exceeded"


def test_an_ended_session(customer: Customer) -> None:
    session = customer.start()
    customer.send(session, GOOD, 0)
    for now in (NOW, NOW + timedelta(minutes=30)):
        refusal = customer.refusal(session.id, now)
        assert refusal.why is Why.ENDED
        assert refusal.session is not None
        assert (refusal.session.state, refusal.session.best_frame) == ("complete", 0)


def test_an_expired_session(customer: Customer) -> None:
    session = customer.start()
    customer.send(session, GOOD)
    assert isinstance(customer.claim(session, NOW + 299 * SECOND), Claim)
    for now in (NOW + 330 * SECOND, NOW + 331 * SECOND):
        refusal = customer.refusal(session.id, now)
        assert refusal.why is Why.EXPIRED
        assert refusal.session is not None
        assert (refusal.session.state, refusal.session.error) == ("failed", "session_timeout")
        assert refusal.session.frames_processed == 1


def test_a_frame_that_was_begun_in_time_counts(customer: Customer) -> None:
    session = customer.start()
    claim = customer.claim(session, NOW + 299 * SECOND)
    customer.sessions.keep(claim, NOW + 309 * SECOND)
    assert customer.refusal(session.id, NOW + 310 * SECOND).why is Why.BUSY
    assert customer.sessions.end_frame(claim, GOOD, 0).state == "complete"


def test_anothers_session_is_unknown(database: Database) -> None:
    owner, other = Customer(database, "owner"), Customer(database, "other")
    session = owner.start()
    refusal = other.refusal(session.id)
    assert (refusal.why, refusal.session) == (Why.UNKNOWN, None)
    assert other.sessions.get(session.id, other.id) is None
    owner.send(session, GOOD, 0)
    assert other.refusal(session.id).why is Why.UNKNOWN
    assert other.refusal(session.id, NOW + timedelta(minutes=20)).why is Why.UNKNOWN


@pytest.mark.parametrize("session_id", ["0123456789abcdef", "", "sess_abc123def456", "\0", "\ud800", "a" * 100_000])
def test_what_is_no_session(customer: Customer, session_id: str) -> None:
    assert customer.refusal(session_id).why is Why.UNKNOWN
    assert customer.sessions.get(session_id, customer.id) is None


def test_one_frame_at_a_time(customer: Customer) -> None:
    session = customer.start()
    claim = customer.claim(session)
    assert customer.refusal(session.id).why is Why.BUSY
    assert isinstance(customer.claim(customer.start()), Claim)  # another session is not in the way
    customer.sessions.end_frame(claim, GOOD)
    assert customer.claim(session).frame_index == 1


def test_a_frame_that_could_not_be_measured_is_not_counted(customer: Customer) -> None:
    session = customer.start()
    customer.sessions.release(customer.claim(session))
    assert customer.claim(session).frame_index == 0


def test_a_dead_server_holds_a_session_for_as_long_as_its_lease(customer: Customer) -> None:
    session = customer.start()
    dead = customer.claim(session)
    assert customer.refusal(session.id, NOW + LEASE - SECOND).why is Why.BUSY
    alive = customer.claim(session, NOW + LEASE)
    with pytest.raises(ClaimLost):
        customer.sessions.end_frame(dead, GOOD, 0)
    with pytest.raises(ClaimLost):
        customer.sessions.keep(dead, NOW)
    customer.sessions.release(dead)  # does not take it from the other one
    after = customer.sessions.end_frame(alive, BAD)
    assert (after.state, after.frames_processed, len(after.frames)) == ("continue", 1, 1)


def test_a_claim_that_is_kept_holds(customer: Customer) -> None:
    session = customer.start()
    claim = customer.claim(session)
    for seconds in range(10, 100, 10):
        customer.sessions.keep(claim, NOW + seconds * SECOND)
    assert customer.refusal(session.id, NOW + 119 * SECOND).why is Why.BUSY
    assert customer.sessions.end_frame(claim, GOOD).frames_processed == 1


def test_a_frame_is_recorded_once(customer: Customer) -> None:
    claim = customer.claim(customer.start())
    customer.sessions.end_frame(claim, GOOD)
    with pytest.raises(ClaimLost):
        customer.sessions.end_frame(claim, GOOD)


def test_frames_that_come_at_once_are_taken_one_after_another(customer: Customer, database: Database) -> None:
    session = customer.start()
    working = threading.Semaphore(1)

    def send(_: int) -> int:
        while isinstance(claim := customer.sessions.begin_frame(session.id, customer.id, NOW), Refusal):
            assert claim.why is Why.BUSY
            time.sleep(0.005)
        assert working.acquire(blocking=False), "two frames of one session at once"
        time.sleep(0.002)
        working.release()
        return customer.sessions.end_frame(claim, GOOD).frames_processed

    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(send, range(15)))
    assert sorted(counts) == list(range(1, 16))
    with database.reading() as connection:
        indices = connection.execute(select(pop_frames.c.frame_index).order_by(pop_frames.c.frame_index)).scalars()
        assert list(indices) == list(range(15))


def test_old_sessions_are_forgotten_with_their_frames(customer: Customer, database: Database) -> None:
    old, complete, recent = customer.start(), customer.start(), customer.start(NOW + timedelta(minutes=50))
    customer.send(old, GOOD)
    customer.send(complete, GOOD, 0)
    customer.start(NOW + timedelta(minutes=70))
    assert customer.sessions.get(old.id, customer.id) is None
    assert customer.sessions.get(complete.id, customer.id) is None
    assert customer.sessions.get(recent.id, customer.id) is not None
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(pop_frames)).scalar_one() == 0
