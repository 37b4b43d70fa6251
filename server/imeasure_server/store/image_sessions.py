"""Images that clients of AIAA and MONAI Label upload once for several requests.

The rows are in the database, so that several servers share them and a restart loses none; the files are in one folder
of the workspace for each session, which those servers share too.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from imeasure_server.store.database import Database, StoreUnavailable
from imeasure_server.store.tables import image_sessions

logger = logging.getLogger(__name__)

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILE_NAME = "image"
MAX_NAME = 255
SWEEP_SECONDS = 30.0
"""How often a server looks for expired sessions."""
STRAY_SECONDS = 3600.0
"""How old a folder without a session is when it is removed: younger ones may be of a session that is being made."""
SLIDE_SECONDS = 1.0
"""A use that would move the end by less than this is not written down."""


@dataclass(frozen=True)
class ImageSession:
    """One uploaded image.

    Attributes:
        id: 36 characters that cannot be guessed.
        path: of the file as it was uploaded.
        name: that it had, a base name.
        digest: SHA-256 of its bytes, hexadecimal.
        size: in bytes.
        created, last_used, expires: UTC.
        expiry_seconds: how long it lives after its last use.
        owner: SHA-256 of the key that it was made with, or None.
    """

    id: str
    path: Path
    name: str
    digest: str
    size: int
    created: datetime
    last_used: datetime
    expires: datetime
    expiry_seconds: int
    owner: bytes | None = None


class ImageSessions:
    """The sessions in a database. Blocks; every method raises `StoreUnavailable` when the database fails.

    Args:
        database: open before the first call.
        folder: for the files.
        expiry_seconds: how long a session lives after its last use, unless its client asked for less.
    """

    def __init__(self, database: Database, folder: Path, expiry_seconds: int) -> None:
        self._database = database
        self._folder = folder
        self._expiry_seconds = expiry_seconds
        self._closing = threading.Event()
        self._sweeper: threading.Thread | None = None

    def open(self) -> None:
        """Sweep now, and from now on again and again: what has expired does not lie about until somebody comes."""
        self.sweep()
        self._closing.clear()
        self._sweeper = threading.Thread(target=self._keep_sweeping, name="session-sweeper", daemon=True)
        self._sweeper.start()

    def close(self) -> None:
        """Stop sweeping."""
        self._closing.set()
        if self._sweeper is not None:
            self._sweeper.join()

    def create(
        self,
        path: Path,
        name: str,
        digest: str,
        expiry: int = 0,
        owner: bytes | None = None,
        now: datetime | None = None,
    ) -> ImageSession:
        """Begin a session with an uploaded file.

        Args:
            path: of the file, which is moved away; on the same disk as the workspace.
            name: a base name.
            digest: SHA-256 of its bytes, hexadecimal.
            expiry: seconds that the session shall live after its last use; 0 or more than the server's own means that.
            owner: SHA-256 of the key of the request, where keys are asked for.

        Raises:
            OSError: the file cannot be moved.
        """
        now = now or datetime.now(timezone.utc)
        seconds = min(expiry, self._expiry_seconds) if expiry > 0 else self._expiry_seconds
        identity = str(uuid.uuid4())
        row: dict[str, Any] = {
            "id": identity,
            "owner": owner,
            "name": name[-MAX_NAME:],
            "digest": digest,
            "size": path.stat().st_size,
            "created": now,
            "last_used": now,
            "expiry_seconds": seconds,
            "expires": now + timedelta(seconds=seconds),
        }
        kept = self._path(identity)
        kept.parent.mkdir(mode=0o700, parents=True)
        try:
            os.replace(path, kept)
            with self._database.writing() as connection:
                connection.execute(insert(image_sessions).values(row))
        except BaseException:
            shutil.rmtree(kept.parent, ignore_errors=True)
            raise
        return ImageSession(path=kept, **row)

    def find(self, session_id: str, owner: bytes | None = None, now: datetime | None = None) -> ImageSession | None:
        """A session of this owner, whose life this prolongs; None when there is none, or no more."""
        now = now or datetime.now(timezone.utc)
        if ID.fullmatch(session_id) is None:
            return None
        mine = (image_sessions.c.id == session_id) & _of(owner) & (image_sessions.c.expires > now)
        with self._database.reading() as connection:
            row = connection.execute(select(image_sessions).where(mine)).one_or_none()
        if row is None or not self._path(session_id).is_file():
            return None
        session = self._session(row)
        expires = now + timedelta(seconds=session.expiry_seconds)
        if (expires - session.expires).total_seconds() < min(SLIDE_SECONDS, session.expiry_seconds / 4):
            return session
        with self._database.writing() as connection:
            slide = update(image_sessions).where(mine).values(last_used=now, expires=expires)
            if not connection.execute(slide).rowcount:
                return None
        return replace(session, last_used=now, expires=expires)

    def delete(self, session_id: str, owner: bytes | None = None) -> bool:
        """End a session of this owner; False when there is none."""
        if ID.fullmatch(session_id) is None:
            return False
        with self._database.writing() as connection:
            mine = (image_sessions.c.id == session_id) & _of(owner)
            deleted = connection.execute(delete(image_sessions).where(mine)).rowcount
        if deleted:
            shutil.rmtree(self._folder / session_id, ignore_errors=True)
        return bool(deleted)

    def sweep(self, now: datetime | None = None) -> int:
        """Remove the sessions that have expired and the folders that belong to none; how many sessions these were."""
        now = now or datetime.now(timezone.utc)
        with self._database.writing() as connection:
            old = delete(image_sessions).where(image_sessions.c.expires <= now).returning(image_sessions.c.id)
            expired = list(connection.execute(old).scalars())
        for session_id in expired:
            shutil.rmtree(self._folder / session_id, ignore_errors=True)
        self._remove_strays()
        return len(expired)

    def _keep_sweeping(self) -> None:
        while not self._closing.wait(SWEEP_SECONDS):
            try:
                self.sweep()
            except (StoreUnavailable, OSError) as error:
                logger.warning("Expired sessions were not cleaned up: %s", error)

    def _remove_strays(self) -> None:
        """Folders that a server left behind when it was killed between a file and its row."""
        before = time.time() - STRAY_SECONDS
        old = {path.name for path in _folders(self._folder) if _modified(path) < before}
        if not old:
            return
        with self._database.reading() as connection:
            known = connection.execute(select(image_sessions.c.id)).scalars().all()
        for name in old.difference(known):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _path(self, session_id: str) -> Path:
        return self._folder / session_id / FILE_NAME

    def _session(self, row: Row[Any]) -> ImageSession:
        values = dict(row._mapping)
        if values["owner"] is not None:
            values["owner"] = bytes(values["owner"])
        return ImageSession(path=self._path(row.id), **values)


def _of(owner: bytes | None) -> Any:
    return image_sessions.c.owner.is_(None) if owner is None else image_sessions.c.owner == owner


def _folders(folder: Path) -> list[Path]:
    """The folders of sessions; nothing else in there is ours to touch."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if ID.fullmatch(path.name) and path.is_dir()]


def _modified(path: Path) -> float:
    """When; never for a folder that another server has removed by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
