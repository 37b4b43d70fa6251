"""Images decoded once, kept on disk by what they were decoded from, for every process of the server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imeasure_server.imaging.decoded_image import HEADERS, VOXELS, DecodedImage
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.image_files import decode_image, decode_series_files
from imeasure_server.imaging.stored_image import StoredImage, StoredVolume

if sys.platform == "win32":  # does not delete a file that is mapped, which serves the same purpose

    def _lock_file(file: BinaryIO, *, exclusive: bool) -> None:
        pass

else:
    import fcntl

    def _lock_file(file: BinaryIO, *, exclusive: bool) -> None:
        """Wait for a lock that is shared; raise OSError at once where an exclusive one is not to be had."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)


__all__ = ["ImageCache", "ImageError"]

_DESCRIPTION = "image.json"
_UNSETTLED = "unsettled"
"""A file that is there until the voxels are on the disk, with what differs after each start of the machine."""
_LAYOUT = 1
"""Raised when decoding changes: images of another layout are decoded again."""

_PARTIAL = ".partial-"
_ABANDONED_SECONDS = 3600


class ImageCache:
    """A folder of decoded images, least recently used ones deleted when it grows too large.

    Any number of threads and processes may use one folder. An image is made in a folder of its own which then gets its
    name: it is there whole or not at all, whatever dies in the middle. Digests are internal: they are computed from
    bytes that a client has sent, and never taken from a client.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """
        Args:
            folder: is made when it is not there.
            max_bytes: of all images together; the newest one is kept even when it alone is larger.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._decoding: dict[str, tuple[threading.Lock, int]] = {}
        self._holds: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def find(self, digest: str, series_uid: str = "") -> StoredImage | None:
        """The image decoded from what has this digest, or None; it counts as used now."""
        key = _key(digest, series_uid)
        folder = self._folder / key
        try:
            description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            os.utime(folder / _DESCRIPTION)
            return _stored(folder, description, digest)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def decode(self, path: Path, name: str, digest: str, series_uid: str = "") -> StoredImage:
        """Find the image, or decode the file; once, when several ask for it at the same time.

        Args:
            path: of the file.
            name: that the client gave it.
            digest: of its bytes.
            series_uid: of a ZIP with several DICOM series the one wanted; "" for the largest.

        Raises:
            ImageError: it cannot be used; nothing is kept.
            OSError: the disk is full.
        """
        return self._find_or_make(
            digest, series_uid, lambda folder: decode_image(path, name, folder, series_uid=series_uid)
        )

    def decode_files(
        self, paths: Sequence[Path], digest: str, series_uid: str = "", names: Sequence[str] | None = None
    ) -> StoredImage:
        """The same for a DICOM series on disk, whose files the client may have given other names."""
        return self._find_or_make(
            digest, series_uid, lambda folder: decode_series_files(paths, folder, series_uid, names)
        )

    @contextmanager
    def hold(self, digest: str, series_uid: str = "") -> Iterator[None]:
        """Keep the image from being deleted inside the block, whether it is there already or is decoded in it."""
        key = _key(digest, series_uid)
        with self._lock:
            self._holds[key] = self._holds.get(key, 0) + 1
        mark = self._shared_mark(key)
        try:
            yield
        finally:
            mark.close()
            with self._lock:
                self._holds[key] -= 1
                if not self._holds[key]:
                    del self._holds[key]

    def _find_or_make(self, digest: str, series_uid: str, make: Callable[[Path], DecodedImage]) -> StoredImage:
        found = self.find(digest, series_uid)
        if found is not None:
            return found
        with self._one_at_a_time(_key(digest, series_uid)):
            found = self.find(digest, series_uid)
            return found or self._make(digest, series_uid, make)

    def _make(self, digest: str, series_uid: str, make: Callable[[Path], DecodedImage]) -> StoredImage:
        key = _key(digest, series_uid)
        partial = self._folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        partial.mkdir()
        try:
            decoded = make(partial)
            size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
            (partial / _DESCRIPTION).write_text(json.dumps(_description(decoded, size)), encoding="utf-8")
            if _BOOT:
                (partial / _UNSETTLED).write_text(_BOOT, encoding="ascii")
            else:
                _to_disk(partial / VOXELS)
            self._put(partial, key)
            if _BOOT:
                settling = threading.Thread(target=_settle, args=(self._folder / key,), daemon=True)
                settling.start()
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._evict(newest=key)
        image = self.find(digest, series_uid)
        if image is None:
            raise OSError("The decoded image has disappeared.")
        return image

    def _put(self, partial: Path, key: str) -> None:
        """Give a finished folder its name; another process may have been faster."""
        final = self._folder / key
        try:
            partial.rename(final)
        except OSError:
            if self.find(key) is not None:
                return
            shutil.rmtree(self._nameless(final), ignore_errors=True)  # of another layout, or damaged
            partial.rename(final)

    @contextmanager
    def _one_at_a_time(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._decoding.get(key, (threading.Lock(), 0))
            self._decoding[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._decoding[key]
                if users == 1:
                    del self._decoding[key]
                else:
                    self._decoding[key] = (lock, users - 1)

    def _shared_mark(self, key: str) -> BinaryIO:
        """An open file whose lock tells other processes that the image is in use; gone when this process is."""
        path = self._folder / f".{key}.used"
        while True:
            mark = path.open("ab")
            _lock_file(mark, exclusive=False)
            try:
                if path.stat().st_ino == os.fstat(mark.fileno()).st_ino:
                    return mark
            except FileNotFoundError:
                pass
            mark.close()  # the image was deleted while this waited, and the file with it

    def _evict(self, newest: str) -> None:
        """Delete the images that were not used for the longest time until the rest is small enough."""
        images = sorted(self._images(), key=lambda image: image[1])
        total = sum(size for _, _, size in images)
        for key, _, size in images:
            if total <= self._max_bytes:
                return
            if key != newest and self._delete_unless_held(key):
                total -= size

    def _delete_unless_held(self, key: str) -> bool:
        path = self._folder / f".{key}.used"
        with self._lock:
            if key in self._holds or key in self._decoding:
                return False
            try:
                with path.open("ab") as mark:
                    _lock_file(mark, exclusive=True)
                    gone = self._nameless(self._folder / key)
                    path.unlink(missing_ok=True)
            except OSError:
                return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _nameless(self, folder: Path) -> Path:
        """Take its name away from a folder that is to be deleted, so that nobody finds half of it."""
        gone = self._folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        folder.rename(gone)
        return gone

    def _images(self) -> Iterator[tuple[str, float, int]]:
        """Key, time of the last use and bytes of every image."""
        for folder in self._folder.iterdir():
            if folder.name.startswith("."):
                continue
            try:
                used = (folder / _DESCRIPTION).stat().st_mtime
                size = int(json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))["bytes"])
            except (OSError, ValueError, KeyError, TypeError):
                used, size = 0.0, 0
            yield folder.name, used, size

    def _sweep(self) -> None:
        """Delete what processes that died have left, and what is too much."""
        for folder in self._folder.glob(f"{_PARTIAL}*"):
            try:
                abandoned = time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
            except OSError:
                continue
            if abandoned:
                shutil.rmtree(folder, ignore_errors=True)
        self._evict(newest="")


def _boot() -> str:
    """What differs after each start of the machine; "" where nobody says."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


_BOOT = _boot()


def _settle(folder: Path) -> None:
    """A machine that loses its power must not find an image of zeros afterwards: until its voxels are on the disk, an
    image counts only until the machine starts again. Waiting for the disk would take as long as decoding.
    """
    try:
        _to_disk(folder / VOXELS)
        (folder / _UNSETTLED).unlink(missing_ok=True)
    except OSError:  # it was deleted meanwhile, or the disk is full: it goes on counting as it did
        pass


def _to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _key(digest: str, series_uid: str) -> str:
    """The name of an image's folder."""
    if not series_uid and re.fullmatch(r"[0-9a-f]{32,128}", digest):
        return digest
    return hashlib.sha256(f"{digest}\n{series_uid}".encode()).hexdigest()


def _description(decoded: DecodedImage, size: int) -> dict[str, Any]:
    return {
        "layout": _LAYOUT,
        "format": decoded.format,
        "affine": decoded.geometry.affine.tolist(),
        "shape": decoded.geometry.shape,
        "flipped": decoded.flipped,
        "headers": decoded.has_headers,
        "series_uid": decoded.series_uid,
        "bytes": size,
    }


def _stored(folder: Path, description: dict[str, Any], digest: str) -> StoredImage:
    if description["layout"] != _LAYOUT:
        raise ValueError("another layout")
    try:
        if (folder / _UNSETTLED).read_text(encoding="ascii") != _BOOT:
            raise ValueError("its voxels may not have reached the disk")
    except FileNotFoundError:
        pass
    x, y, z = (int(length) for length in description["shape"])
    return StoredImage(
        volume=StoredVolume(folder / VOXELS, np.array(description["affine"], np.float64), (x, y, z)),
        format=description["format"],
        digest=digest,
        flipped=bool(description["flipped"]),
        headers=folder / HEADERS if description["headers"] else None,
        series_uid=str(description["series_uid"]),
    )
