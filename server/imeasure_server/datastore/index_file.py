"""What is known of images and labels, kept in MONAI Label's ``datastore_v2.json``."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from imeasure_server.datastore.errors import NotWritable

logger = logging.getLogger(__name__)

NAME = "datastore_v2.json"
LOCK = ".lock"
LOCK_SECONDS = 30.0

NOT_WRITABLE = (
    "This server cannot write to its studies folder: whoever runs it must give it the right to, or another --studies."
)

Objects = dict[str, dict[str, Any]]
"""By image id: ``{"image": {"ext", "info"}, "labels": {tag: {"ext", "info"}}}``."""


class IndexFile:
    """Read whenever another process wrote it; written whole or not at all, under MONAI Label's own lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._thread_lock = threading.RLock()
        self._stamp: tuple[int, int] | None = None
        self._head: dict[str, Any] = {}
        self._objects: Objects = {}

    @property
    def name(self) -> str:
        """Of the datastore."""
        return str(self._head.get("name", "")) or "studies"

    @property
    def description(self) -> str:
        """Of the datastore."""
        return str(self._head.get("description", "")) or "Studies of this server"

    def objects(self) -> Objects:
        """What the file says now; not to be changed."""
        with self._thread_lock:
            self._read()
            return self._objects

    def image_info(self, image_id: str) -> dict[str, Any]:
        """A copy of what is known of an image."""
        image = self.objects().get(image_id, {}).get("image", {})
        return dict(image.get("info") or {})

    def label_info(self, image_id: str, tag: str) -> dict[str, Any]:
        """A copy of what is known of a label."""
        label = self.objects().get(image_id, {}).get("labels", {}).get(tag, {})
        return dict(label.get("info") or {})

    @contextmanager
    def changing(self) -> Iterator[Objects]:
        """The objects, to be changed in the block and saved at its end.

        Raises:
            NotWritable: they cannot be saved; this process remembers the change until it ends.
        """
        with self._thread_lock, self._locked():
            self._read()
            yield self._objects
            self._write()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = FileLock(self._folder / LOCK, timeout=LOCK_SECONDS)
            lock.acquire()
        except Timeout:
            raise NotWritable("Another program has locked the studies folder; try again in a moment.") from None
        except OSError:
            yield  # a folder that cannot be written to has nobody to be protected from
            return
        try:
            yield
        finally:
            lock.release()

    def _read(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self._stamp:
                return
            content = json.loads(self._path.read_text(encoding="utf-8"))
            objects = content["objects"]
            self._objects = {str(key): dict(value) for key, value in objects.items()}
            self._head = {key: value for key, value in content.items() if key != "objects"}
            self._stamp = stamp
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            logger.error("%s in the studies folder cannot be read and is not used.", NAME)
            self._stamp = stamp if "stamp" in locals() else None

    def _write(self) -> None:
        head = {"images_dir": ".", "labels_dir": "labels", **self._head}
        content = {"name": self.name, "description": self.description, **head, "objects": self._objects}
        write_whole(self._path, json.dumps(content, indent=2).encode())
        stat = self._path.stat()
        self._stamp = (stat.st_mtime_ns, stat.st_size)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all.

    Raises:
        NotWritable: the folder takes no file.
    """
    with placing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to; at the end of the block it takes the place of ``path``.

    Raises:
        NotWritable: the folder takes no file.
    """
    partial = path.with_name(f".partial-{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        logger.warning("The studies folder takes no file: %s", error.strerror)
        raise NotWritable(NOT_WRITABLE) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def entry(objects: Objects, image_id: str) -> dict[str, Any]:
    """The object of an image, made when there is none."""
    made = objects.setdefault(image_id, {})
    made.setdefault("image", {"ext": "", "info": {}})
    made.setdefault("labels", {})
    return made
