"""Vertebral heart score (VHS) and vertebral left atrial size (VLAS) from seven landmarks, without any server.

VHS: Buchanan and Bücheler, J Am Vet Med Assoc 206 (1995) 194. VLAS: Malcolm et al., J Am Vet Med Assoc 253 (2018)
1038. The unit is the mean length of the vertebral bodies that the line A–B spans: six, from the cranial edge of T4 to
the caudal edge of T9, unless another number is given. The definitions are those of ``imeasure_server.vhs.score``, which
cannot be imported in Slicer; ``Testing/slicer/test_vhs_score.py`` compares the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from .landmarks import HEART_BOTTOM, HEART_LEFT, HEART_RIGHT, HEART_TOP, LANDMARK_NAMES, VERTEBRA_A, VERTEBRA_B, VLAS

Vector = npt.NDArray[np.float64]

VERTEBRAE = 6
PERPENDICULAR_WITHIN_DEGREES = 10.0
PLAUSIBLE_VHS = (5.0, 17.0)
PLAUSIBLE_VLAS = (0.3, 6.0)
SHORTEST_SPINE = 0.08
"""A–B as a fraction of the picture's diagonal."""


class Implausibility(Enum):
    """Why landmarks give no VHS; the value is a sentence."""

    OUTSIDE = "A landmark lies outside the image."
    SHORT_SPINE = "The vertebral line is too short for six vertebrae."
    AXES_DO_NOT_CROSS = "The long and the short axis of the heart do not cross each other."
    AXIS_CROSSES_SPINE = "An axis of the heart crosses the vertebral line."
    OUT_OF_RANGE = "The score is outside of what a heart can have."


@dataclass(frozen=True)
class Score:
    """What the landmarks measure.

    Attributes:
        vhs: vertebral heart score, in vertebrae; None when the geometry is impossible.
        vlas: vertebral left atrial size, in vertebrae; None without a VHS or when it is implausible.
        longAxis, shortAxis: in vertebrae; NaN when A and B are the same point.
        axesPerpendicular: whether the axes stand within 10° of a right angle.
        implausibility: why there is no VHS, else None.
        vertebra: mean length of a vertebra in the unit of the points.
    """

    vhs: float | None
    vlas: float | None
    longAxis: float
    shortAxis: float
    axesPerpendicular: bool
    implausibility: Implausibility | None = None
    vertebra: float = math.nan


def scoreLandmarks(
    points: npt.ArrayLike, size: tuple[float, float] | None = None, vertebrae: float = VERTEBRAE
) -> Score:
    """Measure landmarks.

    Args:
        points: (7, 2) in millimetres or any unit that is the same in x and y, rows as in ``LANDMARK_NAMES``.
        size: (width, height) of the picture in the same unit; None checks nothing against it.
        vertebrae: how many vertebral bodies A–B spans.

    Raises:
        ValueError: the shape is not (7, 2), a coordinate is not finite, or ``vertebrae`` is not positive.
    """
    points = np.asarray(points, dtype=float)
    if points.shape != (len(LANDMARK_NAMES), 2) or not np.isfinite(points).all():
        raise ValueError("Landmarks are seven finite points (x, y).")
    if not vertebrae > 0:
        raise ValueError("The number of vertebrae must be positive.")
    unit = _distance(points, VERTEBRA_A, VERTEBRA_B) / vertebrae
    if unit <= 0:
        return Score(None, None, math.nan, math.nan, False, Implausibility.SHORT_SPINE)
    longAxis = _distance(points, HEART_TOP, HEART_BOTTOM) / unit
    shortAxis = _distance(points, HEART_RIGHT, HEART_LEFT) / unit
    problem = _implausibility(points, size, longAxis + shortAxis)
    vhs = None if problem else longAxis + shortAxis
    vlas: float | None = _distance(points, HEART_TOP, VLAS) / unit
    if vhs is None or vlas is None or not PLAUSIBLE_VLAS[0] <= vlas <= PLAUSIBLE_VLAS[1]:
        vlas = None
    return Score(vhs, vlas, longAxis, shortAxis, _arePerpendicular(points), problem, unit)


def _distance(points: Vector, first: int, second: int) -> float:
    return math.dist(points[first], points[second])


def _implausibility(points: Vector, size: tuple[float, float] | None, vhs: float) -> Implausibility | None:
    top, bottom, right, left, _, first, last = points
    if size is not None:
        if (points < 0).any() or (points > np.array(size)).any():
            return Implausibility.OUTSIDE
        if math.dist(first, last) < SHORTEST_SPINE * math.hypot(*size):
            return Implausibility.SHORT_SPINE
    if not _segmentsCross(top, bottom, right, left):
        return Implausibility.AXES_DO_NOT_CROSS
    if _segmentsCross(first, last, top, bottom) or _segmentsCross(first, last, right, left):
        return Implausibility.AXIS_CROSSES_SPINE
    if not PLAUSIBLE_VHS[0] <= vhs <= PLAUSIBLE_VHS[1]:
        return Implausibility.OUT_OF_RANGE
    return None


def _arePerpendicular(points: Vector) -> bool:
    longAxis = points[HEART_BOTTOM] - points[HEART_TOP]
    shortAxis = points[HEART_LEFT] - points[HEART_RIGHT]
    lengths = math.hypot(*longAxis) * math.hypot(*shortAxis)
    if lengths == 0:
        return False
    return abs(float(longAxis @ shortAxis)) / lengths <= math.sin(math.radians(PERPENDICULAR_WITHIN_DEGREES))


def _segmentsCross(a: Vector, b: Vector, c: Vector, d: Vector) -> bool:
    """Whether the segments a–b and c–d have a point in common."""
    first, second, between = b - a, d - c, c - a
    denominator = first[0] * second[1] - first[1] * second[0]
    if denominator == 0:
        return False
    alongFirst = (between[0] * second[1] - between[1] * second[0]) / denominator
    alongSecond = (between[0] * first[1] - between[1] * first[0]) / denominator
    return bool(0 <= alongFirst <= 1 and 0 <= alongSecond <= 1)


def onPlane(positions: npt.ArrayLike) -> Vector:
    """(N, 2) coordinates of (N, 3) positions on the plane that fits them best, in the same unit.

    For landmarks of which nobody knows the picture: the score does not change when the plane is turned or flipped.
    """
    positions = np.asarray(positions, dtype=float)
    centred = positions - positions.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ directions[:2].T)
