"""NRRD masks in memory, as MONAI Label servers may send them."""

from __future__ import annotations

import bz2
import re
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .nifti import FileError, FloatArray

TYPES = {
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i1": ("signed char", "int8", "int8_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
DTYPES = {name: dtype for dtype, names in TYPES.items() for name in names}

TO_RAS = {
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}


def decodeNrrd(content: bytes) -> tuple[npt.NDArray[Any], FloatArray]:
    """Voxels (i, j, k) and the 4x4 affine to RAS mm of a file with one value a voxel and its data attached.

    Raises:
        FileError: it is another kind of file.
    """
    end = re.search(rb"\r?\n\r?\n", content)
    if not content.startswith(b"NRRD") or end is None:
        raise FileError("What came is no NRRD file.")
    fields = _fields(content[: end.start()].decode("utf-8", "replace"))
    try:
        sizes = [int(size) for size in fields["sizes"].split()]
        order: Literal["<", ">"] = ">" if fields.get("endian", "little").lower() == "big" else "<"
        dtype = np.dtype(DTYPES[fields["type"].lower()]).newbyteorder(order)
        data = _unpacked(content[end.end() :], fields["encoding"].lower())
        vectors, origin = _vectors(fields, len(sizes))
    except (KeyError, ValueError, OSError, EOFError, zlib.error):
        raise FileError("The NRRD file that came cannot be read.") from None
    if len(sizes) == 4 and sizes[0] == 1:
        sizes = sizes[1:]
    if not 2 <= len(sizes) <= 3:
        raise FileError("The mask that came is no 3D image.")
    shape = (*sizes, *([1] * (3 - len(sizes))))
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) < count * dtype.itemsize:
        raise FileError("The mask that came is cut off.")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = vectors, origin
    signs = np.array([*TO_RAS.get(fields.get("space", "ras").lower(), (1.0, 1.0, 1.0)), 1.0])
    return np.frombuffer(data, dtype, count).reshape(shape, order="F"), signs[:, None] * affine


def _fields(header: str) -> dict[str, str]:
    """The header's ``field: value`` lines; comments and ``key:=value`` pairs left out."""
    pairs = (line.split(":", 1) for line in header.splitlines()[1:] if not line.startswith("#") and ": " in line)
    return {name.strip().lower(): value.strip() for name, value in pairs if not value.startswith("=")}


def _unpacked(data: bytes, encoding: str) -> bytes:
    if encoding == "raw":
        return data
    if encoding in ("gzip", "gz"):
        return zlib.decompress(data, 16 + zlib.MAX_WBITS)
    if encoding in ("bzip2", "bz2"):
        return bz2.decompress(data)
    raise ValueError(encoding)


def _vectors(fields: dict[str, str], dimensions: int) -> tuple[FloatArray, FloatArray]:
    """3x3, its columns are the steps along i, j and k; and the position of the first voxel."""
    vectors = [
        [float(number) for number in vector.split(",")]
        for vector in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    ]
    if not vectors:
        steps = fields.get("spacings", "").split()[-dimensions:]
        sizes = [float(step) if step.lower() != "nan" else 1.0 for step in steps] or [1.0] * 3
        return np.diag([*sizes, *([1.0] * (3 - len(sizes)))][:3]), np.zeros(3)
    matrix = np.eye(3)
    for axis, vector in enumerate(vectors[:3]):
        matrix[: len(vector), axis] = vector
        matrix[len(vector) :, axis] = 0.0
    origin = np.zeros(3)
    numbers = re.findall(r"[-+0-9.eE]+", fields.get("space origin", ""))
    origin[: len(numbers)] = [float(number) for number in numbers[:3]]
    return matrix, origin
