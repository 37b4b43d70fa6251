"""NIfTI-1 files in memory, with numpy alone: Slicer's own writer wants a node, a file and the GUI thread."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Buffer = Union[bytes, memoryview]

HEADER_BYTES, VOXELS_AT = 348, 352
DATATYPES: dict[int, np.dtype[Any]] = {
    2: np.dtype("u1"),
    4: np.dtype("i2"),
    8: np.dtype("i4"),
    16: np.dtype("f4"),
    64: np.dtype("f8"),
    256: np.dtype("i1"),
    512: np.dtype("u2"),
    768: np.dtype("u4"),
    1024: np.dtype("i8"),
    1280: np.dtype("u8"),
}
CODES = {dtype: code for code, dtype in DATATYPES.items()}

FAST = 1
"""Compression level: the wire is faster than any stronger one."""


class FileError(ValueError):
    """Bytes that are not the file that they should be; the message is a sentence."""


def encodeNifti(voxels: npt.NDArray[Any], affine: npt.ArrayLike, compressed: bool) -> memoryview:
    """A volume as a file.

    Large copies are numpy's and zlib's, which let other threads run: the GUI does not stand still meanwhile.

    Args:
        voxels: (k, j, i) bool, integer or floating-point, as Slicer has it; i is the file's fastest axis.
        affine: 4x4, voxel (i, j, k) to RAS mm; written as sform, and as qform where that can express it.
    """
    voxels = _storable(voxels)
    header = _header(voxels, np.asarray(affine, dtype=np.float64))
    if not compressed:
        content = np.empty(VOXELS_AT + voxels.nbytes, dtype=np.uint8)
        content[:VOXELS_AT] = np.frombuffer(header, np.uint8)
        content[VOXELS_AT:].view(voxels.dtype).reshape(voxels.shape)[...] = voxels
        return content.data
    packer = zlib.compressobj(FAST, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts = [packer.compress(header)]
    parts += [packer.compress(plane.tobytes()) for plane in voxels]
    return memoryview(b"".join([*parts, packer.flush()]))


def _storable(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values in a type that every reader knows, little-endian."""
    if voxels.dtype == np.bool_:
        return voxels.astype(np.uint8)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        low, high = (int(voxels.min()), int(voxels.max())) if voxels.size else (0, 0)
        fits = low >= -(2**31) and high < 2**31
        return voxels.astype("<i4" if fits else "<f8")
    if voxels.dtype == np.float64:
        return voxels.astype("<f4")
    return voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)


def _header(voxels: npt.NDArray[Any], affine: FloatArray) -> bytes:
    k, j, i = voxels.shape
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    quaternion, qfac = _quaternion(affine[:3, :3] / spacing)
    header = bytearray(VOXELS_AT)
    struct.pack_into("<i", header, 0, HEADER_BYTES)
    struct.pack_into("<8h", header, 40, 3, i, j, k, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, CODES[voxels.dtype.newbyteorder("=")], voxels.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, qfac, *spacing, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, VOXELS_AT, 1.0, 0.0)
    header[123] = 2  # millimetres
    struct.pack_into("<hh", header, 252, 1 if quaternion is not None else 0, 1)
    if quaternion is not None:
        struct.pack_into("<6f", header, 256, *quaternion, *affine[:3, 3])
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)


def _quaternion(directions: FloatArray) -> tuple[FloatArray | None, float]:
    """The b, c, d of a rotation and the sign of the third axis; None where the axes are not perpendicular."""
    qfac = 1.0 if np.linalg.det(directions) > 0 else -1.0
    rotation = directions @ np.diag([1.0, 1.0, qfac])
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3:
        return None, qfac
    # The eigenvector of Bar-Itzhack's matrix (2000) is the quaternion, without the cases of the usual formulas.
    m = rotation
    matrix = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    vector = np.linalg.eigh(matrix, UPLO="L")[1][:, -1]
    return (vector if vector[3] >= 0 else -vector)[:3], qfac


def decodeNifti(content: Buffer) -> tuple[npt.NDArray[Any], FloatArray]:
    """Voxels (i, j, k) and the 4x4 affine to RAS mm of a 2D or 3D file, compressed or not.

    Raises:
        FileError: it is no such file.
    """
    if bytes(content[:2]) == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise FileError("The mask that came is damaged.") from None
    if len(content) < HEADER_BYTES:
        raise FileError("What came is no NIfTI file.")
    order: Literal["<", ">"] = "<" if struct.unpack_from("<i", content)[0] == HEADER_BYTES else ">"
    if struct.unpack_from(order + "i", content)[0] != HEADER_BYTES:
        raise FileError("What came is no NIfTI file.")
    dimensions = struct.unpack_from(order + "8h", content, 40)
    code = struct.unpack_from(order + "h", content, 70)[0]
    start, slope, intercept = struct.unpack_from(order + "3f", content, 108)
    shape = tuple(max(1, size) for size in dimensions[1 : dimensions[0] + 1])
    if not 2 <= len(shape) <= 7 or code not in DATATYPES or any(size > 1 for size in shape[3:]):
        raise FileError("The mask that came is no 3D image.")
    shape3 = (*shape[:3], *([1] * (3 - len(shape[:3]))))
    dtype = DATATYPES[code].newbyteorder(order)
    count = int(np.prod(shape3, dtype=np.int64))
    if len(content) < int(start) + count * dtype.itemsize:
        raise FileError("The mask that came is cut off.")
    voxels = np.frombuffer(content, dtype, count, int(start)).reshape(shape3, order="F")
    if slope not in (0.0, 1.0) or (slope and intercept):
        voxels = voxels * slope + intercept
    return voxels, _affine(content, order)


def _affine(content: Buffer, order: str) -> FloatArray:
    """By sform, else qform, else the voxel size alone."""
    qform, sform = struct.unpack_from(order + "hh", content, 252)
    sizes = struct.unpack_from(order + "8f", content, 76)
    affine = np.eye(4)
    if sform > 0:
        affine[:3] = np.array(struct.unpack_from(order + "12f", content, 280)).reshape(3, 4)
    elif qform > 0:
        b, c, d, x, y, z = struct.unpack_from(order + "6f", content, 256)
        a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        affine[:3, :3] = rotation @ np.diag([sizes[1], sizes[2], sizes[3] * (-1.0 if sizes[0] < 0 else 1.0)])
        affine[:3, 3] = (x, y, z)
    else:
        affine[:3, :3] = np.diag([size or 1.0 for size in sizes[1:4]])
    return affine
