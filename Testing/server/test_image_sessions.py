"""Sessions of uploaded images in the store, on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from imeasure_server.store import image_sessions
from imeasure_server.store.database import Database, StoreUnavailable
from imeasure_server.store.image_sessions import STRAY_SECONDS, ImageSession, ImageSessions

NOW = datetime(2026, 3, 27, 15, 0, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
CONTENT = b"the bytes of an image"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MINE, OTHERS = bytes(32), bytes([1] * 32)


@pytest.fixture
def sessions(database: Database, tmp_path: Path) -> ImageSessions:
    return ImageSessions(database, tmp_path / "sessions", 60)


def upload(
    sessions: ImageSessions, folder: Path, expiry: int = 0, owner: bytes | None = None, now: datetime = NOW
) -> ImageSession:
    path = folder / f"upload-{time.monotonic_ns()}"
    path.write_bytes(CONTENT)
    session = sessions.create(path, "spleen.nii.gz", DIGEST, expiry, owner, now)
    assert not path.exists()
    return session


def test_an_uploaded_file_is_kept(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path)
    found = sessions.find(session.id, now=NOW)
    assert found == session
    assert (found.name, found.digest, found.size) == ("spleen.nii.gz", DIGEST, len(CONTENT))
    assert found.path.read_bytes() == CONTENT
    assert found.path.is_relative_to(tmp_path / "sessions" / session.id)
    assert found.expires == NOW + 60 * SECOND


@pytest.mark.parametrize(("asked", "given"), [(0, 60), (30, 30), (3600, 60), (-5, 60)])
def test_a_client_can_ask_for_a_shorter_life_only(
    sessions: ImageSessions, tmp_path: Path, asked: int, given: int
) -> None:
    assert upload(sessions, tmp_path, asked).expiry_seconds == given


def test_every_use_prolongs_its_life(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path, expiry=30)
    for seconds in (25, 50, 75):
        found = sessions.find(session.id, now=NOW + seconds * SECOND)
        assert found is not None
        assert found.expires == NOW + (seconds + 30) * SECOND
    assert sessions.find(session.id, now=NOW + 105 * SECOND) is None
    assert sessions.find(session.id, now=NOW + 200 * SECOND) is None


@pytest.mark.parametrize(
    "name", ["", "x", "../../etc/passwd", "0" * 36, "%00", "ü" * 36, "00000000-0000-0000-0000-000000000000"]
)
def test_what_is_no_session(sessions: ImageSessions, tmp_path: Path, name: str) -> None:
    upload(sessions, tmp_path)
    assert sessions.find(name) is None
    assert not sessions.delete(name)


def test_ids_do_not_repeat_or_follow_each_other(sessions: ImageSessions, tmp_path: Path) -> None:
    made = [upload(sessions, tmp_path).id for _ in range(20)]
    assert len({identity[:8] for identity in made}) == 20
    assert len({identity[-12:] for identity in made}) == 20


def test_a_session_is_its_keys_only(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path, owner=MINE)
    assert sessions.find(session.id, OTHERS, NOW) is None
    assert sessions.find(session.id, None, NOW) is None
    assert not sessions.delete(session.id, OTHERS)
    assert sessions.find(session.id, MINE, NOW) == session
    assert sessions.delete(session.id, MINE)


def test_a_deleted_session_is_gone_with_its_file(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path)
    assert sessions.delete(session.id)
    assert sessions.find(session.id, now=NOW) is None
    assert not sessions.delete(session.id)
    assert list((tmp_path / "sessions").iterdir()) == []


def test_expired_sessions_are_swept_with_their_files(sessions: ImageSessions, tmp_path: Path) -> None:
    short, long = upload(sessions, tmp_path, 5), upload(sessions, tmp_path, 50)
    assert sessions.sweep(NOW + 6 * SECOND) == 1
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == [long.id]
    assert sessions.find(short.id, now=NOW) is None
    assert sessions.find(long.id, now=NOW + 6 * SECOND) is not None


def test_a_server_sweeps_by_itself(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sessions, "SWEEP_SECONDS", 0.02)
    sessions = ImageSessions(database, tmp_path / "sessions", 60)
    first = upload(sessions, tmp_path, now=datetime.now(timezone.utc) - 100 * SECOND)
    sessions.open()
    assert not first.path.exists()
    second = upload(sessions, tmp_path, now=datetime.now(timezone.utc) - 100 * SECOND)
    third = upload(sessions, tmp_path, now=datetime.now(timezone.utc))
    deadline = time.monotonic() + 20
    while second.path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not second.path.exists()
    assert third.path.exists()
    sessions.close()


def test_what_a_killed_server_left_is_swept(sessions: ImageSessions, tmp_path: Path) -> None:
    kept = upload(sessions, tmp_path)
    names = (f"{'0' * 8}-0000-0000-0000-{'0' * 12}", f"{'1' * 8}-0000-0000-0000-{'0' * 12}", "mine")
    old, young, foreign = (tmp_path / "sessions" / name for name in names)
    for folder in (old, young, foreign):
        folder.mkdir()
    long_ago = time.time() - STRAY_SECONDS - 60
    for folder in (old, foreign, kept.path.parent):
        os.utime(folder, (long_ago, long_ago))
    assert sessions.sweep(NOW) == 0
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert sessions.find(kept.id, now=NOW) is not None


def test_it_survives_a_restart_and_is_shared(database: Database, tmp_path: Path) -> None:
    session = upload(ImageSessions(database, tmp_path / "sessions", 60), tmp_path)
    again = Database(database.url.render_as_string(hide_password=False))
    again.open()
    others = ImageSessions(again, tmp_path / "sessions", 60)
    assert others.find(session.id, now=NOW) == session
    later = NOW + 40 * SECOND
    assert others.find(session.id, now=later) is not None
    assert ImageSessions(database, tmp_path / "sessions", 60).find(session.id, now=NOW + 90 * SECOND) is not None
    assert others.delete(session.id)
    again.close()


def test_a_session_without_its_file_is_gone(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path)
    session.path.unlink()
    assert sessions.find(session.id, now=NOW) is None


def test_a_failed_database_leaves_no_file(sessions: ImageSessions, database: Database, tmp_path: Path) -> None:
    upload(sessions, tmp_path)
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE image_sessions RENAME TO away")
    with pytest.raises(StoreUnavailable):
        upload(sessions, tmp_path)
    assert len(list((tmp_path / "sessions").iterdir())) == 1


def test_many_use_one_session_at_once(sessions: ImageSessions, tmp_path: Path) -> None:
    session = upload(sessions, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: sessions.find(session.id, now=NOW + n * SECOND), range(40)))
    assert all(found)
    last = sessions.find(session.id, now=NOW + 41 * SECOND)
    assert last is not None
    assert last.expires == NOW + 101 * SECOND
