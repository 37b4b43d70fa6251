"""NIfTI files as nearly all of them are, whose voxels are copied as they lie; the rest is for `read_nifti`.

Copied without being looked at, 22 MB take a few milliseconds and no memory.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imeasure_server.imaging.decoded_image import VOXELS, check_voxels
from imeasure_server.imaging.gzip_stream import GZIP_SIGNATURE, unpack
from imeasure_server.imaging.quaternions import rotation_of
from imeasure_server.imaging.volume import LPS_TO_RAS, FloatArray, Geometry

_HEADER_BYTES = 352
_TYPES = {2: "|u1", 4: "<i2", 8: "<i4", 16: "<f4", 256: "|i1", 512: "<u2", 768: "<u4"}
_MILLIMETRES = (0, 2)  # or not said, which means the same
_RIGHT = 1e-4
"""Cosines of the angles between axes, and relative differences of lengths, that single precision leaves."""
_AGREEMENT = 1e-3
"""The same between the two forms, in voxels: a quaternion close to half a turn is less precise."""
_MAX_OFFSET = 1 << 16
_MAX_TRAILING_BYTES = 1 << 20
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class PlainHeader:
    """Where the voxels of a file lie, in the file and in space.

    Attributes:
        dtype: of the voxels, in the spelling of NumPy.
        offset: of the first one in the file.
        size: bytes of all of them.
    """

    geometry: Geometry
    dtype: np.dtype[np.generic]
    offset: int
    size: int


def read_plain_header(head: bytes) -> PlainHeader | None:
    """Understand the beginning of an unpacked file.

    Args:
        head: its first 352 bytes, or more.

    Returns:
        None when it is not little-endian NIfTI-1 with one value a voxel in three dimensions, unscaled, in mm, with an
        sform at right angles that its quaternion, where there is one, agrees with.
    """
    if len(head) < _HEADER_BYTES or head[:4] != struct.pack("<i", 348) or head[344:348] != b"n+1\0":
        return None
    axes, *lengths = struct.unpack_from("<8h", head, 40)
    kind, bits = struct.unpack_from("<2h", head, 70)
    pixdim = struct.unpack_from("<8f", head, 76)
    offset, slope, intercept = struct.unpack_from("<3f", head, 108)
    q_code, s_code = struct.unpack_from("<2h", head, 252)
    shape = (lengths[0], lengths[1], lengths[2])
    usual = axes == 3 and min(shape) >= 1 and kind in _TYPES
    usual = usual and slope in (0, 1) and intercept == 0 and head[123] & 7 in _MILLIMETRES and s_code > 0
    if not usual or not (_HEADER_BYTES <= offset <= _MAX_OFFSET and offset == int(offset)):
        return None
    dtype = np.dtype(_TYPES[kind])
    affine = np.eye(4)
    affine[:3] = np.reshape(struct.unpack_from("<12f", head, 280), (3, 4))
    if bits != 8 * dtype.itemsize or not _is_grid(affine, pixdim[1:4]):
        return None
    if q_code > 0 and not _agree(affine, _quaternion_form(head, pixdim)):
        return None
    return PlainHeader(Geometry(LPS_TO_RAS @ affine, shape), dtype, int(offset), math.prod(shape) * dtype.itemsize)


def copy_plain_nifti(path: Path, folder: Path) -> Geometry | None:
    """Write the voxels of a ``.nii`` or ``.nii.gz`` file into ``folder``.

    Returns:
        Where they lie; None, and nothing is written, when the file is another kind, or damaged.

    Raises:
        ImageError: there are too many.
        OSError: they cannot be written.
    """
    voxels = folder / VOXELS
    with path.open("rb") as file:
        is_packed = file.read(2) == GZIP_SIGNATURE
        file.seek(0)
        blocks = unpack(file) if is_packed else iter(lambda: file.read(_BLOCK), b"")
        try:
            header = _copy(blocks, voxels)
        except (EOFError, zlib.error):
            header = None
    if header is not None and (header.dtype.kind != "f" or _is_finite(voxels)):
        return header.geometry
    voxels.unlink(missing_ok=True)
    return None


def _copy(blocks: Iterator[bytes], voxels: Path) -> PlainHeader | None:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEADER_BYTES:
            break
    header = read_plain_header(head)
    if header is None:
        return None
    check_voxels(header.geometry.shape)
    end = header.offset + header.size
    position = len(head)
    with voxels.open("wb") as file:
        about = {"descr": header.dtype.str, "fortran_order": True, "shape": header.geometry.shape}
        np.lib.format.write_array_header_1_0(file, about)
        file.write(memoryview(head)[header.offset : end])
        for block in blocks:  # to its end: that is where the check sum is
            wanted = memoryview(block)[max(0, header.offset - position) : max(0, end - position)]
            file.write(wanted)
            position += len(block)
            if position > end + _MAX_TRAILING_BYTES:
                return None
    return header if position >= end else None


def _is_finite(voxels: Path) -> bool:
    array = np.load(voxels, mmap_mode="r")
    return all(bool(np.isfinite(array[:, :, z]).all()) for z in range(array.shape[2]))


def _is_grid(affine: FloatArray, spacing: tuple[float, ...]) -> bool:
    """Whether the axes are at right angles and as long as the header says elsewhere."""
    if not np.isfinite(affine).all() or not all(0 < length < 1e6 for length in spacing):
        return False
    directions = affine[:3, :3] / np.array(spacing)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() < _RIGHT)


def _quaternion_form(head: bytes, pixdim: tuple[float, ...]) -> FloatArray:
    """The other affine of the file."""
    b, c, d, *origin = struct.unpack_from("<6f", head, 256)
    form = np.eye(4)
    vector = np.array([b, c, d])
    if not np.isfinite([*vector, *origin]).all():
        return form * np.nan
    scalar = math.sqrt(max(0.0, 1.0 - float(vector @ vector)))
    handedness = -1.0 if pixdim[0] < 0 else 1.0
    rotation = rotation_of(np.array([*vector, scalar]))
    form[:3, :3] = rotation * np.array([*pixdim[1:3], handedness * pixdim[3]])
    form[:3, 3] = origin
    return form


def _agree(first: FloatArray, second: FloatArray) -> bool:
    lengths = np.linalg.norm(first[:3, :3], axis=0)
    turned = np.abs(first[:3, :3] - second[:3, :3]) / lengths
    moved = np.abs(first[:3, 3] - second[:3, 3]) / lengths.min()
    return bool(max(turned.max(), moved.max()) < _AGREEMENT)
