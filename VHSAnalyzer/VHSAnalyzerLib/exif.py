"""Which way up a JPEG is: phones turn the picture by a number in its header, which Slicer's reader does not look at."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

ORIENTATION_TAG = 0x0112
HEADER_BYTES = 1 << 17
Scalar = TypeVar("Scalar", bound=np.generic)


def orientationOf(path: str | Path) -> int:
    """EXIF orientation of a JPEG file, 1 to 8; 1 (as it is) when the file says nothing that can be understood."""
    with Path(path).open("rb") as file:
        head = file.read(HEADER_BYTES)
    try:
        return _orientation(head)
    except (struct.error, IndexError):
        return 1


def _orientation(head: bytes) -> int:
    if head[:2] != b"\xff\xd8":
        return 1
    at = 2
    while head[at] == 0xFF and head[at + 1] != 0xDA:
        marker, length = head[at + 1], struct.unpack_from(">H", head, at + 2)[0]
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            return _fromTIFF(head[at + 10 : at + 2 + length])
        at += 2 + length
    return 1


def _fromTIFF(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    directory = struct.unpack_from(f"{order}I", tiff, 4)[0]
    for entry in range(struct.unpack_from(f"{order}H", tiff, directory)[0]):
        tag, _kind, _count, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
        if tag == ORIENTATION_TAG:
            return value if 1 <= value <= 8 else 1
    return 1


def upright(pixels: npt.NDArray[Scalar], orientation: int) -> npt.NDArray[Scalar]:
    """(height, width, ...) pixels as the camera's header says that they are to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    flipX, flipY = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}.get(orientation, (0, 0))
    if flipX:
        pixels = pixels[:, ::-1]
    if flipY:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
