"""Long and short axis of one slice.

RECIST 1.1 (Eisenhauer et al. 2009, doi:10.1016/j.ejca.2008.10.026): the longest diameter in the plane, and the longest
one perpendicular to it. Both run from voxel corner to voxel corner, as in the iMeasure API's example answer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.measurement.farthest import farthest_pair
from imeasure_server.measurement.outline import extreme_corners, outline_corners

TOLERANCE = np.tan(np.radians(0.5))
"""A chord is perpendicular when it is within half a degree of it."""

Pair = tuple[FloatArray, FloatArray]


def long_axis(mask: BoolArray, plane: FloatArray) -> tuple[Pair, float]:
    """The greatest distance between two corners of a 2D mask.

    Args:
        mask: (x, y) bool, not empty.
        plane: 2x2, index units to mm in the slice's plane.

    Returns:
        Both ends in index units, the one with the smaller (x, y) first, and the length in mm.
    """
    corners = np.unique(extreme_corners(mask), axis=0)
    first, second = farthest_pair(corners @ plane.T)
    ends = corners[first], corners[second]
    return ends, float(np.linalg.norm((ends[1] - ends[0]) @ plane.T))


def short_axis(mask: BoolArray, plane: FloatArray, long: Pair) -> tuple[Pair, float]:
    """The greatest chord between two outline corners that is perpendicular to the long axis.

    Where no two corners are perpendicular within half a degree (tiny masks) the pair closest to it is taken, the
    longer of equals.

    Args:
        mask: (x, y) bool, not empty.
        plane: 2x2, index units to mm in the slice's plane.
        long: both ends of the long axis in index units.

    Returns:
        Both ends in index units, the one with the smaller (x, y) first, and the length in mm.
    """
    corners = outline_corners(mask)
    points = corners @ plane.T
    direction = (long[1] - long[0]) @ plane.T
    direction /= np.linalg.norm(direction)
    along = points @ direction
    across = points @ np.array([-direction[1], direction[0]])
    pair = _perpendicular(along, across)
    if pair is None:
        pair = _closest_to_perpendicular(along, across)
    first, second = sorted(pair)
    return (corners[first], corners[second]), float(np.linalg.norm(points[second] - points[first]))


def _perpendicular(along: FloatArray, across: FloatArray) -> tuple[int, int] | None:
    """The longest pair within the tolerance, or None.

    Such a pair differs along the axis by at most the tolerance times the width: after sorting along the axis, only
    neighbours have to be compared.
    """
    order = np.argsort(along, kind="stable")
    position, height = along[order], across[order]
    reach = np.searchsorted(position, position + TOLERANCE * np.ptp(across), side="right")
    counts = reach - np.arange(len(order)) - 1
    left = np.repeat(np.arange(len(order)), counts)
    right = _following(counts) + left
    run, rise = position[right] - position[left], np.abs(height[right] - height[left])
    length = np.where((run <= TOLERANCE * rise) & (rise > 0), np.hypot(run, rise), -1.0)
    if not len(length) or length.max() < 0:
        return None
    at = int(length.argmax())
    return int(order[left[at]]), int(order[right[at]])


def _following(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """1, 2, ... counts[0], 1, 2, ... counts[1], and so on."""
    starts = np.cumsum(counts) - counts
    return np.arange(counts.sum()) - np.repeat(starts, counts) + 1


def _closest_to_perpendicular(along: FloatArray, across: FloatArray) -> tuple[int, int]:
    run = cdist(along[:, None], along[:, None])
    rise = cdist(across[:, None], across[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where((run == 0) & (rise == 0), np.inf, run / rise)
    close = slope <= slope.min() * (1 + 1e-9) + 1e-12
    at = int(np.where(close, np.hypot(run, rise), -1.0).argmax())
    first, second = divmod(at, len(along))
    return first, second
