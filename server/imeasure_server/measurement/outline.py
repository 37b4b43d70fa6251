"""Voxel corners of masks. In index units: a voxel (x, y) has its corners at (x ± 0.5, y ± 0.5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray


def outline_corners(mask: BoolArray) -> FloatArray:
    """All voxel corners on the outline of a 2D mask (outer and inner), straight runs included.

    Args:
        mask: (x, y) bool.

    Returns:
        (n, 2) corners in index units, in ascending (x, y) order.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    neighbours = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    return np.asarray(np.argwhere((neighbours > 0) & (neighbours < 4)) - 0.5, dtype=np.float64)


def extreme_corners(mask: BoolArray) -> FloatArray:
    """The corners of a 2D mask's first and last voxel in each row along x: they hold every vertex of its convex hull.

    Args:
        mask: (x, y) bool.

    Returns:
        (n, 2) corners in index units.
    """
    rows = np.flatnonzero(mask.any(axis=0))
    used = mask[:, rows]
    first = used.argmax(axis=0)
    last = mask.shape[0] - 1 - used[::-1].argmax(axis=0)
    return _corner_pairs(first, last, rows)


def extreme_corners_3d(mask: BoolArray) -> FloatArray:
    """The corners of a 3D mask's first and last voxel in each line along x: they hold every vertex of its convex hull.

    Of each slice only what can be a vertex is kept: the hull of the first and last voxels, seen along z.

    Args:
        mask: (x, y, z) bool.

    Returns:
        (n, 3) corners in index units.
    """
    lines = np.asarray(mask.any(axis=0))
    first = mask.argmax(axis=0)
    last = mask.shape[0] - 1 - mask[::-1].argmax(axis=0)
    parts = []
    for z in np.flatnonzero(lines.any(axis=0)):
        rows = np.flatnonzero(lines[:, z])
        flat = _staircase_hull(first[rows, z], last[rows, z], rows)
        parts += [np.column_stack([flat, np.full(len(flat), z + side)]) for side in (-0.5, 0.5)]
    return np.concatenate(parts)


def _corner_pairs(first: npt.NDArray[np.intp], last: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> FloatArray:
    x = np.concatenate([first - 0.5, first - 0.5, last + 0.5, last + 0.5])
    y = np.concatenate([rows - 0.5, rows + 0.5, rows - 0.5, rows + 0.5])
    return np.column_stack([x, y])


def _staircase_hull(first: npt.NDArray[np.intp], last: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> FloatArray:
    """Vertices of the convex hull of the corners of row ends, by Andrew's monotone chain over the rows."""
    corners = _corner_pairs(first, last, rows)
    lefts, rights = corners[: 2 * len(rows)], corners[2 * len(rows) :]
    return np.array(_chain(lefts, 1.0) + _chain(rights, -1.0))


def _chain(points: FloatArray, side: float) -> list[tuple[float, float]]:
    """The part of the hull on one side (1: small x, -1: large x); ``points`` are (n, 2)."""
    order = np.lexsort((points[:, 0] * side, points[:, 1]))
    chain: list[tuple[float, float]] = []
    previous_y: float | None = None
    for x, y in points[order].tolist():
        if y == previous_y:
            continue  # of one height the outermost came first
        previous_y = y
        while len(chain) >= 2:
            (x0, y0), (x1, y1) = chain[-2], chain[-1]
            if side * ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) < 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain
