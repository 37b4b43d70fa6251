"""The clicks of a simulated person, by fixed rules (no randomness), so that figures can be compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from imeasure_server.segmentation.prompts import Point, PointPrompt

Mask = NDArray[np.bool_]


def _point(index: ArrayLike) -> Point:
    x, y, z = (float(value) for value in np.asarray(index))
    return x, y, z


def deepest_voxel(mask: Mask, spacing: ArrayLike) -> Point:
    """The voxel of a mask that is farthest (mm) from what is not mask; the grid's border counts as outside.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("An empty mask has no deepest voxel.")
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    depth = ndimage.distance_transform_edt(np.pad(mask[box], 1), sampling=np.asarray(spacing, float))
    index = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return _point(np.array(index) - 1 + np.array([s.start for s in box]))


def first_click(truth: Mask, spacing: ArrayLike, order: int = 0) -> PointPrompt:
    """One positive click, deepest inside the lesion."""
    return PointPrompt(deepest_voxel(truth, spacing), True, order)


def extreme_points(truth: Mask, spacing: ArrayLike) -> tuple[Point, Point]:
    """The ends (voxel centres) of the longest axis on the slice where the lesion's area is largest.

    Where it has several components there, the axis lies in one of them, as it does when they are measured.
    """
    k = int(np.argmax(truth.sum(axis=(0, 1))))
    area = truth[:, :, k]
    components, count = ndimage.label(area, np.ones((3, 3)))
    outline = np.argwhere(area & ~ndimage.binary_erosion(area))
    ends = [_farthest(outline[components[tuple(outline.T)] == number], spacing) for number in range(1, count + 1)]
    _, first, second = max(ends, key=lambda end: end[0])
    return _point((*first, k)), _point((*second, k))


def _farthest(points: NDArray[np.int_], spacing: ArrayLike) -> tuple[float, NDArray[np.int_], NDArray[np.int_]]:
    """The greatest distance in mm between two of the points (n, 2) in voxels, and those two."""
    scaled = points * np.asarray(spacing, float)[:2]
    distances = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
    i, j = np.unravel_index(int(np.argmax(distances)), distances.shape)
    return float(distances[i, j]), points[i], points[j]


def correction(mask: Mask, truth: Mask, spacing: ArrayLike, order: int) -> PointPrompt | None:
    """The click that corrects a mask: the deepest voxel of all that is wrong, positive where it misses the lesion.

    Returns:
        The click, or None when the mask is the truth.
    """
    wrong = np.asarray(mask, bool) ^ np.asarray(truth, bool)
    if not wrong.any():
        return None
    position = deepest_voxel(wrong, spacing)
    x, y, z = (int(value) for value in position)
    return PointPrompt(position, bool(truth[x, y, z]), order)
