"""The greatest distance between two points of a set, in plane for many sets at once and in space.

Only vertices of the convex hull can be its ends. Hulls are found in voxel indices, where all is integer and exact (an
affine map keeps them), distances in millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.measurement.slice_runs import IntArray, SliceRuns, ragged_ranges

TIE = 1e-9
"""Lengths and angles that differ by less than this, relatively, are equal: rounding must not choose between them."""

FEW_POINTS = 1000
"""Up to this number of points comparing all pairs is quicker than a hull in space."""


@dataclass(frozen=True, eq=False)
class PlanePoints:
    """Points of many groups in the plane, sorted by group, then y, then x (integer, in voxels)."""

    group: IntArray
    x: IntArray
    y: IntArray

    def __getitem__(self, chosen: IntArray | BoolArray) -> PlanePoints:
        return PlanePoints(self.group[chosen], self.x[chosen], self.y[chosen])

    def __len__(self) -> int:
        return len(self.group)


def component_hulls(runs: SliceRuns, components: IntArray) -> PlanePoints:
    """Convex hulls of the voxel corners of each component, grouped by component number; corners as in `SliceRuns`."""
    base = components * runs.slice_size
    starts, stops = (base + offsets % runs.slice_size for offsets in (runs.starts, runs.stops))
    keys = np.sort(np.concatenate((starts, starts + runs.width, stops, stops + runs.width)))
    line = keys // runs.width
    last = np.concatenate((line[1:] != line[:-1], [True]))
    first = np.concatenate(([True], last[:-1]))
    sides = ((keys[first], 1), (keys[last], -1))
    keys = np.sort(np.concatenate([side[_chain(side, runs, sign)] for side, sign in sides]))
    x, y = runs.plane_position(keys)
    return PlanePoints(keys // runs.slice_size, x, y)


def _chain(keys: IntArray, runs: SliceRuns, sign: int) -> IntArray:
    """Hull vertices among the first (sign 1) or last (sign -1) points of each line of each group.

    A point that does not stick out from the line between its neighbours is no vertex; what is left when no such point
    remains is convex. All groups shrink together.
    """
    kept = np.arange(len(keys))
    group = keys // runs.slice_size
    x, y = runs.plane_position(keys)
    x = sign * x
    while len(kept) > 2:
        gx, gy, gg = x[kept], y[kept], group[kept]
        turn = (gx[1:-1] - gx[:-2]) * (gy[2:] - gy[:-2]) - (gx[2:] - gx[:-2]) * (gy[1:-1] - gy[:-2])
        dented = (gg[:-2] == gg[2:]) & (turn >= 0)
        if not dented.any():
            break
        kept = kept[np.concatenate(([True], ~dented, [True]))]
    return kept


def longest_in_plane(hulls: PlanePoints, basis: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """All pairs of points that are farthest apart in their group.

    Args:
        hulls: the points; the groups are numbered from 0 without gaps.
        basis: 2x2, its columns are the x and y steps in millimetres in an orthonormal basis of the plane.

    Returns:
        Positions in ``hulls`` of the two points of each pair (ties give several pairs of a group), and the greatest
        distance of each group in mm.
    """
    first = np.searchsorted(hulls.group, np.arange(int(hulls.group[-1]) + 1))
    beyond = np.append(first[1:], len(hulls))[hulls.group]
    partners = beyond - np.arange(len(hulls)) - 1
    left = np.repeat(np.arange(len(hulls)), partners)
    right = ragged_ranges(np.arange(len(hulls)) + 1, partners)
    points = np.stack((hulls.x, hulls.y), axis=1) @ basis.T
    squared = np.square(points[left] - points[right]).sum(axis=1)
    group_starts = np.searchsorted(left, first)
    greatest = np.maximum.reduceat(squared, group_starts)
    tied = squared >= greatest[hulls.group[left]] * (1 - TIE)
    return left[tied], right[tied], np.sqrt(greatest)


def longest_in_space(indices: FloatArray, axes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The two of these points that are farthest apart.

    Args:
        indices: (n, 3) continuous voxel indices, n >= 2, not all in a plane.
        axes: 3x3, its columns are the steps of a voxel in millimetres.

    Returns:
        Voxel indices of both ends. Of equally long pairs the first by (z, x, y) of the ends, the lower end first.
    """
    remote = _far_out(indices, axes)
    if len(remote) > FEW_POINTS:
        remote = _far_out(indices[ConvexHull(indices).vertices], axes)  # not of ``remote``, which may be flat
    indices = remote[np.lexsort((remote[:, 1], remote[:, 0], remote[:, 2]))]
    points = indices @ axes.T
    best = 0.0
    ends = (0, 0)
    for begin in range(0, len(points), FEW_POINTS):
        squared = cdist(points[begin : begin + FEW_POINTS], points[begin:], "sqeuclidean")
        greatest = squared.max()
        if greatest > best * (1 + TIE):
            best = greatest
            row, column = np.argwhere(squared >= greatest * (1 - TIE))[0]
            ends = (begin + int(row), begin + int(column))
    return indices[ends[0]], indices[ends[1]]


def _far_out(indices: FloatArray, axes: FloatArray) -> FloatArray:
    """Leave out points too near the middle to be an end of the longest line.

    Two points are at most the sum of their distances to any centre apart. With a line of length d found by going to the
    farthest point a few times, a point nearer to the centre than d minus the greatest radius cannot do better.
    """
    points = indices @ axes.T
    here, there, length = 0, 0, -1.0
    while True:
        distance = np.linalg.norm(points - points[here], axis=1)
        farthest = int(distance.argmax())
        if distance[farthest] <= length * (1 + TIE):
            break
        there, here, length = here, farthest, float(distance[farthest])
    radius = np.linalg.norm(points - (points[here] + points[there]) / 2, axis=1)
    return np.asarray(indices[radius >= (length - radius.max()) * (1 - TIE)])
