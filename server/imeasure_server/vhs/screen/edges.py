"""The edges of a screen to a fraction of a pixel, near where they are known to be.

Along each side the photograph is sampled on a band across it. The line through the band that most of the side's length
agrees with is the edge, then a parabola is fitted to the edge's places (the lens bends lines a little), and corners are
where neighbouring parabolas meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import FloatArray

Picture: TypeAlias = NDArray[np.uint8]
Field: TypeAlias = NDArray[np.float32]

STATIONS = 160
"""Places along a side."""

ENDS = 0.02
"""Part of a side, at each end, that is left out: there the next side begins."""

HALF_WIDTH = 32
"""Of the band, in steps."""

EXPECTED_ERROR = 0.3
"""Standard deviation of the first guess, in half widths of the band."""

LEAST_SUPPORT = 0.3
"""Share of a side that must agree with the edge that was found; with less the first guess is kept."""


@dataclass(frozen=True, eq=False)
class Refined:
    """Corners after refinement.

    Attributes:
        corners: (4, 2) in pixels, TL, TR, BR, BL.
        support: (4,) share of the top, right, bottom and left side that agrees with the edge that was found there.
    """

    corners: FloatArray
    support: FloatArray


@dataclass(frozen=True, eq=False)
class _Side:
    """A parabola along a side: ``start + u along + (a + b u + c u²) normal``, u from 0 to 1.

    ``along`` is the whole side, ``normal`` has the length 1.
    """

    start: FloatArray
    along: FloatArray
    normal: FloatArray
    coefficients: FloatArray

    def at(self, u: float) -> FloatArray:
        a, b, c = self.coefficients
        return np.asarray(self.start + u * self.along + (a + b * u + c * u * u) * self.normal)

    def direction(self, u: float) -> FloatArray:
        return np.asarray(self.along + (self.coefficients[1] + 2 * self.coefficients[2] * u) * self.normal)


def refine_corners(picture: Picture, corners: FloatArray, reach: float) -> Refined:
    """Move corners to where the edges of the screen meet.

    Args:
        picture: (h, w, 3) or (h, w).
        corners: (4, 2) in pixels, TL, TR, BR, BL, the outer corner of the first pixel at (0, 0).
        reach: how far from the lines between them the edges may lie, in pixels.
    """
    sides, support = [], []
    for first, second in zip(corners, np.roll(corners, -1, 0), strict=True):
        side, agreeing = _fit_side(picture, first, second, reach)
        sides.append(side)
        support.append(agreeing)
    met = [_meet(sides[number - 1], sides[number]) for number in range(4)]
    return Refined(np.array(met), np.array(support))


def side_evidence(picture: Picture, first: FloatArray, second: FloatArray, reach: float) -> float:
    """How much of the way between two points, 0 to 1, is along an edge that is straight and near; coarse and fast."""
    along = second - first
    length = float(np.hypot(*along))
    if length < 8 * reach:
        return 0.0
    guess = _Side(first, along, np.array([-along[1], along[0]]) / length, np.zeros(3))
    change = _change(_across(picture, guess, np.linspace(0.04, 0.96, 48), reach / 12, 12))
    return max(0.0, float(_lines(_evidence(change))[0].max()))


def _evidence(change: Field) -> Field:
    """Changes of any size count alike, when they are larger than usual."""
    return np.asarray(change / (change + 2.0 * np.median(change) + 1.0), np.float32)


def _fit_side(picture: Picture, first: FloatArray, second: FloatArray, reach: float) -> tuple[_Side, float]:
    along = second - first
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    guess = _Side(first, along, normal, np.zeros(3))
    u = np.linspace(ENDS, 1 - ENDS, STATIONS)
    step = reach / HALF_WIDTH
    band = _across(picture, guess, u, step, HALF_WIDTH)
    change = _change(band)
    usual = float(np.median(change))
    offsets = _best_line(_evidence(change))
    light = (band / np.float32(255)) ** np.float32(2.2)  # in linear light a blurred edge is still at its place
    places, _ = _peaks(_change(light), offsets)
    _, strength = _peaks(change, offsets)
    near = strength > 1.5 * usual + 1.0
    coefficients, agreeing = _parabola(u, places * step, strength * near, 0.03 * reach + 0.5)
    if agreeing < LEAST_SUPPORT or not np.isfinite(coefficients).all():
        return guess, agreeing
    return _Side(first, along, normal, coefficients), agreeing


def _across(picture: Picture, side: _Side, u: FloatArray, step: float, half: int) -> Field:
    """The picture on the band, (len(u), 2 half + 9), with colours as a third dimension if it has any."""
    offsets = np.arange(-half - 4, half + 5) * step
    places = side.start + u[:, None, None] * side.along + offsets[None, :, None] * side.normal
    x, y = (places - 0.5).astype(np.float32).transpose(2, 0, 1)
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _change(band: Field) -> Field:
    """Size of the change of brightness and colour across, as many rows and 8 columns less."""
    smooth = cv2.GaussianBlur(band, (9, 5), sigmaX=1.2, sigmaY=1.0, borderType=cv2.BORDER_REPLICATE)
    slope = np.abs(smooth[:, 2:] - smooth[:, :-2])
    total = slope.mean(-1) if slope.ndim == 3 else slope
    return np.asarray(total[:, 3:-3], np.float32)


def _best_line(evidence: Field) -> FloatArray:
    """The offset, in steps, at each station of the straight line with the most evidence along it."""
    score, part = _lines(evidence)
    start, end = np.unravel_index(int(np.argmax(score)), score.shape)
    half = evidence.shape[1] // 2
    return np.asarray((1 - part) * (start - half) + part * (end - half), float)


def _lines(evidence: Field) -> tuple[Field, FloatArray]:
    """How much evidence lies along each straight line, by its first and last offset; and 0 to 1 along the side."""
    half = evidence.shape[1] // 2
    candidates = np.arange(-half, half + 1)
    part = np.linspace(0, 1, evidence.shape[0])
    score = np.zeros((len(candidates), len(candidates)), np.float32)
    for row, share in zip(evidence, part, strict=True):
        between = np.rint((1 - share) * candidates[:, None] + share * candidates[None, :]).astype(int)
        score += row[between + half]
    score /= evidence.shape[0]
    distance = (candidates / (half * EXPECTED_ERROR)) ** 2
    score -= 0.05 * np.asarray(distance[:, None] + distance[None, :], np.float32)
    return score, part


def _peaks(change: Field, offsets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At each station the place of the strongest change near the line, in steps, and its size."""
    around = np.arange(-3, 4)
    columns = np.clip(np.rint(offsets).astype(int)[:, None] + around + HALF_WIDTH, 1, 2 * HALF_WIDTH - 1)
    rows = np.arange(len(change))
    top = columns[rows, np.argmax(change[rows[:, None], columns], 1)]
    before, middle, after = (change[rows, top + shift].astype(float) for shift in (-1, 0, 1))
    curvature = before - 2 * middle + after
    shift = np.where(curvature < -1e-6, 0.5 * (before - after) / np.minimum(curvature, -1e-6), 0.0)
    return top - HALF_WIDTH + np.clip(shift, -0.6, 0.6), middle


def _parabola(u: FloatArray, places: FloatArray, weights: FloatArray, spread: float) -> tuple[FloatArray, float]:
    """Coefficients of a robust fit (Tukey's weights), and the share of the stations that agree with it."""
    weights = np.minimum(weights, np.percentile(weights, 75))
    if np.count_nonzero(weights) < STATIONS // 8:
        return np.zeros(3), 0.0
    terms = np.column_stack([np.ones_like(u), u, u * u])
    bending = np.diag([0.0, 0.0, 1e-3 * weights.sum()])  # without good reason a line is straight
    coefficients: FloatArray = np.zeros(3)
    now, limit = weights, 4.0 * spread
    for turn in range(8):
        matrix = (terms * now[:, None]).T @ terms + bending + 1e-9 * np.eye(3)
        coefficients = np.asarray(np.linalg.solve(matrix, (terms * now[:, None]).T @ places), float)
        away = np.abs(places - terms @ coefficients)
        limit = max(3.0 * spread, limit * 0.7) if turn else limit
        now = weights * np.maximum(0.0, 1.0 - (away / limit) ** 2) ** 2
    agreeing = (np.abs(places - terms @ coefficients) < 2.0 * spread) & (weights > 0)
    return coefficients, float(agreeing.mean())


def _meet(before: _Side, after: _Side) -> FloatArray:
    """Where the end of one side meets the beginning of the next."""
    u, v = 1.0, 0.0
    for _ in range(4):
        gap = after.at(v) - before.at(u)
        matrix = np.column_stack([before.direction(u), -after.direction(v)])
        du, dv = np.linalg.solve(matrix, gap)
        u, v = u + float(du), v + float(dv)
    return before.at(u)
