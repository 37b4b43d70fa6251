"""One DICOM file, in an archive or on disk: its header is parsed at once, its pixels are read when they are needed."""

# mypy: disable-error-code="no-untyped-call"
# (pydicom leaves many functions untyped.)

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom
import pydicom.config
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
"""Odd values are in many headers; warnings about them would write what they say of patients into the log."""

NONSENSE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    BytesLengthException,
    InvalidDicomError,
)
"""What pydicom raises for elements that are damaged or missing, depending on which."""

UNREADABLE = (OSError, *NONSENSE)
"""The same, and what it raises for files: not for use where something else is read or written."""

_HEAD_BYTES = 1 << 16
"""Read of each file before anything is known of it: nearly all headers are smaller."""

_PIXEL_TAGS = tuple((0x7FE0, element) for element in (0x0008, 0x0009, 0x0010))
_NAMES_WITHOUT_PREAMBLE = (".dcm", ".dicom", ".ima", ".img")


class Source(Protocol):
    """Where the bytes of a file are."""

    @property
    def name(self) -> str: ...

    def read(self, limit: int | None = None) -> bytes:
        """The content, or its first ``limit`` bytes."""
        ...


@dataclass(frozen=True)
class FileOnDisk:
    """A source that is a file.

    Attributes:
        path: of the file.
        name: for messages.
    """

    path: Path
    name: str

    def read(self, limit: int | None = None) -> bytes:
        with self.path.open("rb") as file:
            return file.read(-1 if limit is None else limit)


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A file that holds an image.

    Attributes:
        source: its bytes.
        dataset: all elements before the pixels.
        syntax: the transfer syntax.
        pixel_offset: where the element with the pixels begins; None in a deflated file.
        pixel_element: element number of group 7FE0: 0x0010, or 0x0008 and 0x0009 for floating-point pixels.
    """

    source: Source
    dataset: pydicom.Dataset
    syntax: UID
    pixel_offset: int | None
    pixel_element: int

    @property
    def frames(self) -> int:
        return max(1, int(self.dataset.get("NumberOfFrames") or 1))

    @property
    def series_uid(self) -> str:
        return str(self.dataset.get("SeriesInstanceUID") or "")

    @property
    def instance_uid(self) -> str:
        return str(self.dataset.get("SOPInstanceUID") or "")

    def header(self, content: bytes) -> bytes:
        """The file without its pixels, as the content of a file; ``content`` is all of it."""
        if self.pixel_offset is not None and content[128:132] == b"DICM":
            return content[: self.pixel_offset]
        dataset = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=True)
        for _, element in _PIXEL_TAGS:
            dataset.pop((0x7FE0, element), None)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
        return buffer.getvalue()


def looks_like_dicom(head: bytes, name: str = "") -> bool:
    """Whether a file's first bytes are those of a DICOM file.

    Old files without the preamble begin with an element of group 0002 or 0008; they are believed when the name agrees.
    """
    if head[128:132] == b"DICM":
        return True
    plausible = head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00"
    return plausible and name.lower().endswith(_NAMES_WITHOUT_PREAMBLE)


def parse_dicom(source: Source) -> DicomFile | None:
    """Parse the header of a file; None when it is no DICOM file, is damaged, or holds no image.

    Raises:
        ImageError: the archive it is in is damaged.
        OSError: it cannot be read.
    """
    head = source.read(_HEAD_BYTES)
    if not looks_like_dicom(head, source.name):
        return None
    parsed = _parsed(source, head)
    if parsed is None and len(head) == _HEAD_BYTES:  # a long header, or deflated
        parsed = _parsed(source, source.read())
    return parsed


def _parsed(source: Source, content: bytes) -> DicomFile | None:
    stream = io.BytesIO(content)
    try:
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
        syntax = _transfer_syntax(dataset)
    except UNREADABLE:
        return None
    if syntax == DeflatedExplicitVRLittleEndian:
        return _parsed_deflated(source, content)
    offset = stream.tell()
    tag = struct.unpack("<HH" if syntax.is_little_endian else ">HH", content[offset : offset + 4].ljust(4))
    if tag not in _PIXEL_TAGS:
        return None
    return DicomFile(source, dataset, syntax, offset, tag[1])


def _parsed_deflated(source: Source, content: bytes) -> DicomFile | None:
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
    except UNREADABLE:
        return None
    for tag in _PIXEL_TAGS:
        if tag in dataset:
            del dataset[tag]
            return DicomFile(source, dataset, DeflatedExplicitVRLittleEndian, None, tag[1])
    return None


def _transfer_syntax(dataset: pydicom.Dataset) -> UID:
    stated = getattr(dataset, "file_meta", pydicom.Dataset()).get("TransferSyntaxUID")
    if stated:
        syntax = UID(str(stated))
        if not syntax.is_transfer_syntax or syntax.is_private:
            raise ValueError("This is no transfer syntax that anybody could know.")
        return syntax
    return ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian
