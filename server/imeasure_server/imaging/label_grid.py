"""A label mask on the grid of the image that it belongs to."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import LabelArray, as_labels
from imeasure_server.imaging.volume import LPS_TO_RAS, FloatArray, Geometry, Volume

SAME_WITHIN = 0.1
"""Grids whose corners differ by less than this part of a voxel are one grid: files round positions."""


def label_on_grid(label: Volume, geometry: Geometry) -> LabelArray:
    """Put a label mask onto an image's grid.

    The same grid is taken as it is, the same grid with its axes in another order or direction is reordered, another
    grid is resampled to the nearest voxel. A mask of the image's shape whose file says nothing of where it lies (an
    identity matrix) is taken as it is.

    Args:
        label: whole numbers.
        geometry: of the image.

    Returns:
        (x, y, z) of the image's shape.

    Raises:
        ImageError: the mask lies elsewhere than the image, or its values are no labels.
    """
    labels = as_labels(label.array)
    index_of = np.linalg.inv(label.geometry.affine) @ geometry.affine  # image index to index of the mask
    if labels.shape == geometry.shape and (_says_nothing(label.geometry) or _is_close(index_of, np.eye(4), geometry)):
        return labels
    reordered = _reordered(labels, index_of, geometry)
    return _resampled(labels, index_of, geometry) if reordered is None else reordered


def _says_nothing(geometry: Geometry) -> bool:
    """Whether the affine is one that programs write when they know none: the identity, in LPS or in RAS."""
    return any(np.array_equal(geometry.affine, nothing) for nothing in (np.eye(4), LPS_TO_RAS))


def _is_close(index_of: FloatArray, other: FloatArray, geometry: Geometry) -> bool:
    """Whether two maps take the corners of the image to the same place, to a part of a voxel."""
    ends = np.stack(np.meshgrid(*[(0.0, length - 1.0) for length in geometry.shape], [1.0]), axis=-1).reshape(-1, 4)
    return bool(np.abs(ends @ (index_of - other).T).max() <= SAME_WITHIN)


def _reordered(labels: LabelArray, index_of: FloatArray, geometry: Geometry) -> LabelArray | None:
    """The mask with its axes in the image's order and direction; None when that does not give the image's grid."""
    turn = np.rint(index_of[:3, :3])
    if not np.array_equal(np.abs(turn).sum(axis=0), np.ones(3)) or not np.array_equal(
        np.abs(turn).sum(axis=1), np.ones(3)
    ):
        return None
    order = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]  # the mask's axis along each of the image's
    if tuple(labels.shape[axis] for axis in order) != geometry.shape:
        return None
    exact = np.eye(4)
    exact[:3, :3] = turn
    for axis in order:
        exact[axis, 3] = 0.0 if turn[axis].sum() > 0 else labels.shape[axis] - 1.0
    if not _is_close(index_of, exact, geometry):
        return None
    forward = [turn[axis].sum() > 0 for axis in order]
    return labels.transpose(order)[tuple(slice(None, None, 1 if ahead else -1) for ahead in forward)]


def _resampled(labels: LabelArray, index_of: FloatArray, geometry: Geometry) -> LabelArray:
    from scipy import ndimage  # 20 MiB: masks nearly always lie on the grid already

    result: LabelArray = ndimage.affine_transform(
        labels, index_of[:3, :3], index_of[:3, 3], geometry.shape, labels.dtype, order=0, mode="grid-constant", cval=0
    )
    if not result.any() and (labels.any() or not _overlaps(index_of, labels.shape, geometry)):
        raise ImageError(
            "The label lies elsewhere than the image: nothing of it is inside. Send the label of this image."
        )
    return result


def _overlaps(index_of: FloatArray, shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether any voxel of the image lies in the mask's grid, by their bounding boxes."""
    ends = np.stack(np.meshgrid(*[(-0.5, length - 0.5) for length in geometry.shape], [1.0]), axis=-1).reshape(-1, 4)
    inside = (ends @ index_of.T)[:, :3]
    return bool((inside.max(axis=0) >= -0.5).all() and (inside.min(axis=0) <= np.array(shape) - 0.5).all())
