"""NRRD files with their data attached: scalar 3D images, as 3D Slicer and ITK write them.

Format: https://teem.sourceforge.net/nrrd/format.html. Read here rather than by ITK's library, which opens whatever file
of this machine a header names as its data, and does not notice when compressed data are damaged.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.decoded_image import check_voxels
from imeasure_server.imaging.gzip_stream import unpack
from imeasure_server.imaging.image_error import ImageError, damaged
from imeasure_server.imaging.nifti import ORTHOGONAL, SHEARED
from imeasure_server.imaging.volume import FloatArray, Geometry, Volume

NRRD_SIGNATURE = b"NRRD000"

_MAX_HEADER_BYTES = 1 << 22
"""Segmentations of Slicer describe every segment in the header."""

_TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_TYPE_OF = {spelling: dtype for dtype, spellings in _TYPES.items() for spelling in spellings}

_TO_LPS: Mapping[str, tuple[float, float, float]] = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}


@dataclass(frozen=True)
class NrrdFile:
    """A scalar image and the key/value pairs (``key:=value``) of its header."""

    volume: Volume
    pairs: Mapping[str, str]


def read_nrrd(path: Path, name: str) -> NrrdFile:
    """Read an image.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: no NRRD file, damaged, with its data in another file, not one 2D or 3D scalar image (2D becomes one
            slice), or on a sheared grid.
    """
    try:
        with path.open("rb") as file:
            fields, pairs = _header(file, name)
            array = _data(file, fields, name)
        return NrrdFile(Volume(array, _geometry(fields, array.shape, name)), pairs)
    except ImageError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise damaged(name) from error


def _header(file: BinaryIO, name: str) -> tuple[dict[str, str], dict[str, str]]:
    if not file.readline(64).startswith(NRRD_SIGNATURE):
        raise ImageError(f"{name} is not an NRRD file.")
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    read = 0
    while True:
        line = file.readline(_MAX_HEADER_BYTES)
        read += len(line)
        if not line or read > _MAX_HEADER_BYTES:
            raise damaged(name)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            return fields, pairs
        if text.startswith("#"):
            continue
        if match := re.match(r"([^:]+):=(.*)", text):
            pairs[match[1]] = match[2]
        elif match := re.match(r"([^:]+): ?(.*)", text):
            fields[match[1].strip().lower()] = match[2].strip()
            if match[1].strip().lower() in ("data file", "datafile"):
                raise ImageError(f"{name} keeps its voxels in another file: save it as one .nrrd file.")


def _data(file: BinaryIO, fields: Mapping[str, str], name: str) -> npt.NDArray[Any]:
    sizes = tuple(int(size) for size in fields["sizes"].split())
    if len(sizes) != int(fields["dimension"]) or min(sizes) < 1:
        raise damaged(name)
    if len(sizes) not in (2, 3) or _has_components(fields):
        raise ImageError(f"{name} holds {_what(sizes)}: one image with one value a voxel is needed.")
    check_voxels(sizes)
    kind = fields["type"].lower()
    if kind not in _TYPE_OF:
        raise ImageError(f"{name} holds values of the type {kind}, which is not read.")
    dtype = np.dtype(_TYPE_OF[kind])
    dtype = dtype.newbyteorder(">" if fields.get("endian", "little").lower() == "big" else "<")
    content = _unpacked(file, fields, int(np.prod(sizes)), dtype, name)
    array = np.frombuffer(content, dtype).reshape(sizes, order="F")
    array = array.astype(dtype.newbyteorder("="), copy=False)
    return array if array.ndim == 3 else array[:, :, None]


def _has_components(fields: Mapping[str, str]) -> bool:
    """Whether an axis is no axis of space, but holds a colour or a vector."""
    kinds = fields.get("kinds", "").lower().split()
    return any(kind not in ("domain", "space", "???", "none") for kind in kinds)


def _what(sizes: tuple[int, ...]) -> str:
    return "a series or a vector, colour or layered image" if len(sizes) != 1 else "a row of numbers"


def _unpacked(file: BinaryIO, fields: Mapping[str, str], count: int, dtype: np.dtype[Any], name: str) -> bytes:
    """Exactly the bytes of ``count`` values."""
    wanted = count * dtype.itemsize
    for _ in range(int(fields.get("line skip", fields.get("lineskip", 0)))):
        file.readline()
    skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
    encoding = fields["encoding"].lower()
    if encoding in ("gzip", "gz"):
        content = _gunzip(file, max(skip, 0) + wanted)[max(skip, 0) :]
    elif encoding == "raw":
        if skip == -1:
            file.seek(-wanted, io.SEEK_END)
        else:
            file.read(skip)
        content = file.read(wanted)
    elif encoding in ("ascii", "text", "txt"):
        content = np.array(file.read().split(), np.float64)[:count].astype(dtype).tobytes()
    else:
        raise ImageError(f"{name} is encoded as {encoding}: save it as raw or gzip.")
    if len(content) != wanted:
        raise EOFError
    return content


def _gunzip(file: BinaryIO, wanted: int) -> bytes:
    blocks, size = [], 0
    for block in unpack(file):  # to its end, which checks the sum
        if size < wanted:
            blocks.append(block)
        size += len(block)
        if size > wanted + _MAX_HEADER_BYTES:
            raise EOFError
    return b"".join(blocks)[:wanted]


def _geometry(fields: Mapping[str, str], shape: tuple[int, ...], name: str) -> Geometry:
    directions = _vectors(fields.get("space directions", ""))
    if directions is None:
        spacings = [abs(float(text)) for text in fields.get("spacings", "").split()]
        usable = [value if np.isfinite(value) and value > 0 else 1.0 for value in spacings]
        return Geometry.from_axes(np.zeros(3), (usable + [1.0] * 3)[:3], np.eye(3), _three(shape))
    origin = _vectors(fields.get("space origin", ""))
    signs = np.array(_TO_LPS.get(fields.get("space", "").lower(), (1.0, 1.0, 1.0)), np.float64)
    affine = np.eye(4)
    affine[:3, :3] = (directions * signs).T
    affine[:3, 3] = 0 if origin is None else origin[0] * signs
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.all():
        raise damaged(name)
    cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths) - np.eye(3)
    if np.abs(cosines).max() > ORTHOGONAL:
        raise ImageError(SHEARED)
    return Geometry(affine, _three(shape))


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (int(shape[0]), int(shape[1]), int(shape[2]))


def _vectors(text: str) -> FloatArray | None:
    """``(1,0,0) (0,1,0) (0,0,1)`` as an array, vectors in its rows; None where these are not three-dimensional."""
    found = [[float(number) for number in vector.split(",")] for vector in re.findall(r"\(([^)]*)\)", text)]
    if not found or any(len(vector) != 3 for vector in found):
        return None
    if len(found) == 2:  # a 2D image in space
        found.append([float(number) for number in np.cross(found[0], found[1])])
    return np.array(found)
