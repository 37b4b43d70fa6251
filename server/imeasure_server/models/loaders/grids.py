"""An answer of a model on the grid of the image that was sent, whatever the transforms did."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import FloatArray

Array = npt.NDArray[np.generic]


def on_grid(array: Array, affine: FloatArray, shape: tuple[int, ...], target: FloatArray, linear: bool) -> Array:
    """Resample an array onto another grid.

    Args:
        array: any number of spatial dimensions.
        affine: 4x4, its voxels to mm.
        shape: of the grid wanted, with as many dimensions.
        target: 4x4, voxels of the grid wanted to the same mm.
        linear: linear interpolation, else the nearest voxel.

    Returns:
        The array on the grid wanted, 0 outside what there is.
    """
    n = len(shape)
    matrix = np.linalg.inv(affine) @ target
    linear_part, offset = matrix[:n, :n], matrix[:n, 3]
    axes = _axes(linear_part)
    if axes is not None and not linear:
        return _nearest(array, linear_part, offset, axes, shape)
    if not linear:
        return np.asarray(
            ndimage.affine_transform(array, linear_part, offset, shape, order=0, mode="grid-constant", cval=0)
        )
    return np.asarray(
        ndimage.affine_transform(array, linear_part, offset, shape, np.float32, order=1, mode="nearest", cval=0)
    )


def _axes(matrix: FloatArray) -> list[int] | None:
    """Which axis of the grid wanted each axis of the array runs along, or None when they are oblique to each other."""
    size = np.abs(matrix).max(axis=1, keepdims=True)
    along = np.abs(matrix) > 1e-4 * size
    if (along.sum(axis=1) != 1).any() or (along.sum(axis=0) != 1).any():
        return None
    return [int(axis) for axis in along.argmax(axis=1)]


def _nearest(array: Array, matrix: FloatArray, offset: FloatArray, axes: list[int], shape: tuple[int, ...]) -> Array:
    result = np.zeros(shape, array.dtype)
    inside: list[npt.NDArray[np.intp]] = []
    wanted: list[npt.NDArray[np.intp]] = []
    for row, axis in enumerate(axes):
        # Half a voxel is a tie: a little off it, so that all ties of a row go the same way.
        positions = np.floor(np.arange(shape[axis]) * matrix[row, axis] + offset[row] + 0.5 + 1e-6).astype(np.intp)
        keep = np.flatnonzero((positions >= 0) & (positions < array.shape[row]))
        inside.append(positions[keep])
        wanted.append(keep.astype(np.intp))
    picked = array[np.ix_(*inside)]
    order = [axes.index(axis) for axis in range(len(shape))]
    result[np.ix_(*(wanted[row] for row in order))] = picked.transpose(order)
    return result
