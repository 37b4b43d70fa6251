"""The header of NIfTI files, https://nifti.nimh.nih.gov/nifti-1: written, and what it says of the size of a file."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.nifti import ORTHOGONAL, SHEARED
from imeasure_server.imaging.quaternions import quaternion_of
from imeasure_server.imaging.volume import Geometry

_DATA_TYPES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "uint16": 512}
_HEADER_BYTES = 352
_MILLIMETRES = 2
_SCANNER_COORDINATES = 1


def is_nifti(head: bytes) -> bool:
    """Whether a file's first bytes are those of a NIfTI-1 file that holds its voxels, too."""
    return head[344:348] == b"n+1\0"


def is_nifti2(head: bytes) -> bool:
    """Whether a file's first bytes are those of a NIfTI-2 file."""
    return head[4:8] == b"n+2\0"


def stated_size(head: bytes) -> tuple[tuple[int, ...], int]:
    """The lengths of the axes, and the bytes of the whole file when it is not compressed, as its header has them.

    Args:
        head: its first 348 bytes; `is_nifti`.

    Raises:
        ValueError: the header makes no sense.
    """
    order = "<" if head[:4] == (348).to_bytes(4, "little") else ">"
    axes, *lengths = struct.unpack_from(f"{order}8h", head, 40)
    (bits,) = struct.unpack_from(f"{order}h", head, 72)
    (offset,) = struct.unpack_from(f"{order}f", head, 108)
    shape = tuple(lengths[:axes])
    if not 1 <= axes <= 7 or min(shape) < 1 or bits < 1 or not 0 <= offset < 1 << 31:
        raise ValueError("No image has such axes.")
    return shape, int(offset) + math.prod(shape) * bits // 8


def nifti_header(
    geometry: Geometry, dtype: np.dtype[Any], description: str = "", voxels_at: int = _HEADER_BYTES
) -> bytes:
    """The bytes before the voxels of a NIfTI-1 file, little-endian; both its forms say exactly where the grid lies.

    Args:
        description: free text of at most 79 characters.
        voxels_at: where the voxels begin: 352, or more in steps of 16.

    Raises:
        ImageError: the grid is sheared, or larger than the format can say.
    """
    if max(geometry.shape) > 32767:
        raise ImageError("The image is too long for a NIfTI file: ask for NRRD.")
    affine = geometry.ras_affine
    directions = affine[:3, :3] / geometry.spacing
    if np.abs(directions.T @ directions - np.eye(3)).max() > ORTHOGONAL:
        raise ImageError(SHEARED)
    handedness = 1.0 if np.linalg.det(directions) > 0 else -1.0
    quaternion = quaternion_of(directions * [1.0, 1.0, handedness])[:3]
    header = b"".join(
        [
            struct.pack("<i35xB", 348, 0),
            struct.pack("<8h", 3, *geometry.shape, 1, 1, 1, 1),
            struct.pack("<3f4h", 0, 0, 0, 0, _DATA_TYPES[dtype.name], 8 * dtype.itemsize, 0),
            struct.pack("<8f", handedness, *geometry.spacing, 1, 1, 1, 1),
            struct.pack("<3fh2B", voxels_at, 1, 0, 0, 0, _MILLIMETRES),
            struct.pack("<4f2i", 0, 0, 0, 0, 0, 0),
            struct.pack("<80s24s", description.encode("ascii")[:79], b""),
            struct.pack("<2h", _SCANNER_COORDINATES, _SCANNER_COORDINATES),
            struct.pack("<6f", *quaternion, *affine[:3, 3]),
            struct.pack("<12f", *affine[:3].reshape(-1)),
            struct.pack("<16s4s4x", b"", b"n+1\0"),
        ]
    )
    return header.ljust(voxels_at, b"\0")
