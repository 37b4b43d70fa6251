"""Vertebral heart score (VHS) and vertebral left atrial size (VLAS) from seven landmarks.

VHS: Buchanan and Bücheler, J Am Vet Med Assoc 206 (1995) 194. VLAS: Malcolm et al., J Am Vet Med Assoc 253 (2018)
1038. The unit is the mean length of the vertebral bodies that the line A–B spans: six, from the cranial edge of T4 to
the caudal edge of T9, unless another number is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from imeasure_server.vhs.landmarks import (
    HEART_BOTTOM,
    HEART_LEFT,
    HEART_RIGHT,
    HEART_TOP,
    LANDMARK_NAMES,
    VERTEBRA_A,
    VERTEBRA_B,
    VLAS,
    FloatArray,
)

VERTEBRAE = 6
PERPENDICULAR_WITHIN_DEGREES = 10.0
PLAUSIBLE_VHS = (5.0, 17.0)
PLAUSIBLE_VLAS = (0.3, 6.0)
SHORTEST_SPINE = 0.08
"""A–B as a fraction of the image's diagonal: six vertebrae shorter than this are no thorax that fills the picture."""


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
        long_axis, short_axis: in vertebrae.
        axes_perpendicular: whether the axes stand within 10° of a right angle.
        implausibility: why there is no VHS, else None.
    """

    vhs: float | None
    vlas: float | None
    long_axis: float
    short_axis: float
    axes_perpendicular: bool
    implausibility: Implausibility | None = None


def score_landmarks(points: FloatArray, size: tuple[float, float] | None = None, vertebrae: float = VERTEBRAE) -> Score:
    """Measure landmarks.

    Args:
        points: (7, 2), (x, y) in pixels (or any unit that is the same in x and y), rows as in `LANDMARK_NAMES`.
        size: (width, height) of the image in the same unit; None checks nothing against it.
        vertebrae: how many vertebral bodies A–B spans.

    Raises:
        ValueError: the shape is not (7, 2), a coordinate is not finite, or ``vertebrae`` is not positive.
    """
    points = np.asarray(points, float)
    if points.shape != (len(LANDMARK_NAMES), 2) or not np.isfinite(points).all():
        raise ValueError("Landmarks are seven finite points (x, y).")
    if not vertebrae > 0:
        raise ValueError("The number of vertebrae must be positive.")
    unit = math.dist(points[VERTEBRA_A], points[VERTEBRA_B]) / vertebrae
    if unit <= 0:
        return Score(None, None, math.nan, math.nan, False, Implausibility.SHORT_SPINE)
    long_axis = math.dist(points[HEART_TOP], points[HEART_BOTTOM]) / unit
    short_axis = math.dist(points[HEART_RIGHT], points[HEART_LEFT]) / unit
    problem = _implausibility(points, size, long_axis + short_axis)
    vhs = None if problem else long_axis + short_axis
    vlas: float | None = math.dist(points[HEART_TOP], points[VLAS]) / unit
    if vhs is None or vlas is None or not PLAUSIBLE_VLAS[0] <= vlas <= PLAUSIBLE_VLAS[1]:
        vlas = None
    return Score(vhs, vlas, long_axis, short_axis, _are_perpendicular(points), problem)


def _implausibility(points: FloatArray, size: tuple[float, float] | None, vhs: float) -> Implausibility | None:
    top, bottom, right, left, _, first, last = points
    if size is not None:
        if (points < 0).any() or (points > np.array(size)).any():
            return Implausibility.OUTSIDE
        if math.dist(first, last) < SHORTEST_SPINE * math.hypot(*size):
            return Implausibility.SHORT_SPINE
    if not _segments_cross(top, bottom, right, left):
        return Implausibility.AXES_DO_NOT_CROSS
    if _segments_cross(first, last, top, bottom) or _segments_cross(first, last, right, left):
        return Implausibility.AXIS_CROSSES_SPINE
    if not PLAUSIBLE_VHS[0] <= vhs <= PLAUSIBLE_VHS[1]:
        return Implausibility.OUT_OF_RANGE
    return None


def _are_perpendicular(points: FloatArray) -> bool:
    long_axis = points[HEART_BOTTOM] - points[HEART_TOP]
    short_axis = points[HEART_LEFT] - points[HEART_RIGHT]
    lengths = math.hypot(*long_axis) * math.hypot(*short_axis)
    if lengths == 0:
        return False
    return abs(float(long_axis @ short_axis)) / lengths <= math.sin(math.radians(PERPENDICULAR_WITHIN_DEGREES))


def _segments_cross(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> bool:
    """Whether the segments a–b and c–d have a point in common."""
    first, second, between = b - a, d - c, c - a
    denominator = first[0] * second[1] - first[1] * second[0]
    if denominator == 0:
        return False
    along_first = (between[0] * second[1] - between[1] * second[0]) / denominator
    along_second = (between[0] * first[1] - between[1] * first[0]) / denominator
    return bool(0 <= along_first <= 1 and 0 <= along_second <= 1)
