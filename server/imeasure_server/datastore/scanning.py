"""Which images lie in a studies folder. Looked up whenever somebody asks, so that new files need no restart."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from imeasure_server.datastore.errors import BadItem
from imeasure_server.datastore.names import IMAGE_EXTENSIONS, checked_id, file_stem, id_of_stem, split_name

LABELS_FOLDER = "labels"
MAX_DEPTH = 12
RACY_NS = 2_000_000_000
"""A folder that changed this recently may change again without another time stamp; its listing is not kept."""

_NO_IMAGES = frozenset({"SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "REG", "DOC"})
_DICOM_MAGIC_AT = 128


@dataclass(frozen=True)
class StudyImage:
    """An image of the folder.

    Attributes:
        id: of the image: its file's stem, or the SeriesInstanceUID of a DICOM series.
        files: one, or those of a DICOM series.
        extension: of the file that a client gets.
        is_series: whether it is a DICOM series.
        is_converted: whether clients get a NIfTI file made of it: of a DICOM series, and of a zip of one.
        folders: where the files lie, and when those folders changed last (ns).
    """

    id: str
    files: tuple[Path, ...]
    extension: str
    is_series: bool
    folders: tuple[tuple[Path, int], ...]

    @property
    def is_converted(self) -> bool:
        return self.is_series or self.files[0].suffix.lower() == ".zip"

    @property
    def filename(self) -> str:
        """Of the file that a client gets."""
        return f"{file_stem(self.id)}{self.extension}"

    @property
    def modified(self) -> int:
        """When its newest file changed, in seconds since 1970; 0 when it is gone."""
        try:
            return int(max(file.stat().st_mtime for file in self.files))
        except OSError:
            return 0


@dataclass(frozen=True)
class _Listing:
    """Names in one folder at one time."""

    changed_ns: int
    files: tuple[str, ...]
    folders: tuple[str, ...]
    settled: bool


class Scanner:
    """Finds the images below one folder. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._listings: dict[Path, _Listing] = {}
        self._series: dict[Path, tuple[int, int, str]] = {}  # size, mtime and SeriesInstanceUID ("": no image)
        self._folders: dict[Path, tuple[_Listing, dict[str, list[str]]]] = {}
        self._images: dict[str, StudyImage] = {}
        self._aliases: dict[str, str] = {}

    def images(self) -> dict[str, StudyImage]:
        """Every image by its id, in the order of the ids."""
        with self._lock:
            self._scan()
            return dict(self._images)

    def find(self, image_id: str) -> StudyImage | None:
        """The image of this id; a DICOM file in the folder itself also goes by the stem of its name."""
        image_id = image_id.strip(" ")
        with self._lock:
            found = self._known(image_id)
            if found is None or not _is_current(found):
                self._scan()
                found = self._known(image_id)
            return found

    def _known(self, image_id: str) -> StudyImage | None:
        return self._images.get(image_id) or self._images.get(self._aliases.get(image_id, ""))

    def _scan(self) -> None:
        images: dict[str, StudyImage] = {}
        series: dict[str, list[Path]] = {}
        aliases: dict[str, str] = {}
        listings: dict[Path, _Listing] = {}
        for folder, listing in self._walk():
            listings[folder] = listing
            top = folder == self._folder
            if top:
                _add_files(images, folder, listing)
            for uid, names in self._series_in(folder, listing).items():
                series.setdefault(uid, []).extend(folder / name for name in names)
                if top:
                    aliases |= {id_of_stem(_stem(name)): uid for name in names}
        for uid, files in series.items():
            folders = {file.parent for file in files}
            changed = tuple((folder, listings[folder].changed_ns) for folder in sorted(folders))
            images.setdefault(uid, StudyImage(uid, tuple(sorted(files)), ".nii.gz", True, changed))
        self._listings, self._aliases = listings, aliases
        self._images = {image_id: images[image_id] for image_id in sorted(images)}

    def _series_in(self, folder: Path, listing: _Listing) -> dict[str, list[str]]:
        """Names of the DICOM images in a folder by their series; remembered while the folder stays as it is."""
        kept = self._folders.get(folder)
        if kept is not None and kept[0] is listing:
            return kept[1]
        found: dict[str, list[str]] = {}
        complete = listing.settled
        for name in listing.files:
            parts = split_name(name, IMAGE_EXTENSIONS)
            if parts is not None and parts[1].lower() != ".dcm":
                continue
            uid = self._series_of(folder / name, listing.settled)
            if uid:
                found.setdefault(uid, []).append(name)
            else:
                complete = False  # perhaps it is being copied
        if complete:
            self._folders[folder] = (listing, found)
        return found

    def _walk(self) -> Iterator[tuple[Path, _Listing]]:
        seen: set[str] = set()
        waiting = [(self._folder, 0)]
        while waiting:
            folder, depth = waiting.pop()
            real = os.path.realpath(folder)
            if real in seen or depth > MAX_DEPTH:
                continue
            seen.add(real)
            listing = self._listing(folder)
            if listing is None:
                continue
            yield folder, listing
            waiting += [(folder / name, depth + 1) for name in listing.folders if depth > 0 or name != LABELS_FOLDER]

    def _listing(self, folder: Path) -> _Listing | None:
        """The folder's content, read again when it changed; None when it cannot be read."""
        try:
            changed = folder.stat().st_mtime_ns
            kept = self._listings.get(folder)
            if kept is not None and kept.settled and kept.changed_ns == changed:
                return kept
            files: list[str] = []
            folders: list[str] = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        (folders if entry.is_dir() else files).append(entry.name)
        except OSError:
            return None
        settled = time.time_ns() - changed > RACY_NS
        return _Listing(changed, tuple(sorted(files)), tuple(sorted(folders)), settled)

    def _series_of(self, path: Path, settled: bool) -> str:
        """The SeriesInstanceUID of a DICOM image, "" for any other file. A file still being copied is asked again."""
        kept = self._series.get(path)
        if kept is not None and kept[2] and settled:
            return kept[2]
        try:
            stat = path.stat()
            if kept is not None and kept[:2] == (stat.st_size, stat.st_mtime_ns):
                return kept[2]
            uid = _series_uid(path)
        except OSError:
            return ""
        self._series[path] = (stat.st_size, stat.st_mtime_ns, uid)
        return uid


def _add_files(images: dict[str, StudyImage], folder: Path, listing: _Listing) -> None:
    """Enter files that are images; the first of several with one stem counts (``a.nii.gz`` before ``a.nrrd``)."""
    for name in listing.files:
        parts = split_name(name, IMAGE_EXTENSIONS)
        if parts is None or parts[1].lower() == ".dcm":
            continue
        image_id, extension = id_of_stem(parts[0]), parts[1]
        try:
            checked_id(image_id)
        except BadItem:
            continue
        sent_as = ".nii.gz" if extension.lower() == ".zip" else extension
        place = ((folder, listing.changed_ns),)
        images.setdefault(image_id, StudyImage(image_id, (folder / name,), sent_as, False, place))


def _stem(name: str) -> str:
    parts = split_name(name, (".dcm",))
    return name if parts is None else parts[0]


def _is_current(image: StudyImage) -> bool:
    """Whether nothing was added to or taken from the image's folders since."""
    try:
        unchanged = all(folder.stat().st_mtime_ns == changed for folder, changed in image.folders)
    except OSError:
        return False
    newest = max(changed for _, changed in image.folders)
    return unchanged and time.time_ns() - newest > RACY_NS


def _series_uid(path: Path) -> str:
    """Raises:
    OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(_DICOM_MAGIC_AT)
        if file.read(4) != b"DICM":
            return ""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "Modality", "Rows"])
    except (InvalidDicomError, ValueError, KeyError, AttributeError, EOFError):
        return ""
    if "Rows" not in header or str(header.get("Modality", "")) in _NO_IMAGES:
        return ""
    uid = str(header.get("SeriesInstanceUID", ""))
    return uid if all(part.isdigit() for part in uid.split(".")) else ""
