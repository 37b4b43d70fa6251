"""A mask that came, on the grid of the volume that was sent."""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .nifti import FileError, FloatArray, decodeNifti
from .nrrd import decodeNrrd

Mask = Union[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]
"""(k, j, i) label values."""

SAME_WITHIN = 0.02
"""Voxels that a corner of the grid may be off and still count as there: files hold single precision."""


def decodeMask(content: bytes) -> tuple[npt.NDArray[Any], FloatArray]:
    """Voxels (i, j, k) and affine to RAS mm of a NIfTI or NRRD file, by its content and not by its name.

    Raises:
        FileError: it is neither.
    """
    if not content:
        raise FileError("The server sent an empty mask file.")
    return decodeNrrd(content) if content.startswith(b"NRRD") else decodeNifti(content)


def onGrid(voxels: npt.NDArray[Any], affine: FloatArray, wanted: npt.ArrayLike, shape: tuple[int, int, int]) -> Mask:
    """A mask brought onto another grid by the two affines: reordered where that is enough, else resampled (nearest).

    Args:
        voxels: (i, j, k) label values, of any type.
        affine: 4x4 of ``voxels``, to RAS mm.
        wanted, shape: 4x4 and (i, j, k) of the volume.

    Returns:
        (k, j, i) uint8, or uint16 where a value is larger than 255; 0 where the mask does not reach.

    Raises:
        FileError: the values are no labels, or the two grids have nothing in common.
    """
    labels = _labels(voxels)
    target = np.asarray(wanted, dtype=np.float64)
    if labels.shape != shape and labels.shape[::-1] == shape and np.allclose(affine, np.eye(4)):
        # Servers that lose the geometry on their way through [Z, Y, X] arrays.
        labels, affine = labels.transpose(), target
    elif labels.shape == shape and _isLost(affine, target):
        affine = target
    toSource = np.linalg.inv(affine) @ target
    corners = np.array(
        [[i, j, k, 1.0] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)]
    )
    if labels.shape == shape and np.abs(corners @ (toSource - np.eye(4)).T).max() < SAME_WITHIN:
        return labels.transpose().copy()
    return _resampled(labels, toSource, shape)


def _labels(voxels: npt.NDArray[Any]) -> Mask:
    if voxels.size == 0:
        raise FileError("The mask that came is empty.")
    if voxels.dtype.kind == "f":
        if not np.isfinite(voxels).all():
            raise FileError("The mask that came holds values that are no labels.")
        voxels = np.rint(voxels)
    low, high = float(voxels.min()), float(voxels.max())
    if low < 0 or high > 65535:
        raise FileError("The mask that came holds values that are no labels.")
    return voxels.astype(np.uint8) if high <= 255 else voxels.astype(np.uint16)


def _isLost(affine: FloatArray, target: FloatArray) -> bool:
    """Whether a mask of the volume's shape came without a geometry."""
    return bool(np.allclose(affine, np.eye(4)) and not np.allclose(target, np.eye(4)))


def _resampled(labels: Mask, toSource: FloatArray, shape: tuple[int, int, int]) -> Mask:
    """Nearest voxels, slice by slice: an index array for the whole volume would be several times its size."""
    result = np.zeros(shape[::-1], dtype=labels.dtype)
    size = np.array(labels.shape)
    j, i = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]), indexing="ij")
    plane = toSource[:3, 0, None, None] * i + toSource[:3, 1, None, None] * j + toSource[:3, 3, None, None]
    touched = False
    for k in range(shape[2]):
        index = np.floor(plane + toSource[:3, 2, None, None] * k + 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < size[:, None, None])).all(axis=0)
        if inside.any():
            touched = True
            x, y, z = index[:, inside]
            result[k][inside] = labels[x, y, z]
    if not touched:
        raise FileError("The mask that came lies somewhere else than the volume.")
    return result
