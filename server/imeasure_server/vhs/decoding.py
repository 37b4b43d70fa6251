"""From heat maps to points: a local soft-argmax for the heart, a chain of equal links for the vertebrae.

Vertebrae look alike, so that the heat map of one often has a second peak at its neighbour; their mean would lie between
the two. The chain from T4 to T9 is therefore chosen as a whole: each link a likely peak, each step like the one before
(a pictorial structure, Felzenszwalb and Huttenlocher, Int J Comput Vis 61 (2005) 55, solved by dynamic programming).
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import LANDMARK_NAMES, VERTEBRA_A, VERTEBRA_B, FloatArray
from imeasure_server.vhs.network import STRIDE

CHAIN = (VERTEBRA_A, *range(len(LANDMARK_NAMES), len(LANDMARK_NAMES) + 5), VERTEBRA_B)
"""Channels of the points that are six vertebrae in a row."""
PEAKS = 6
NEAR = 3.5
"""Cells about a peak whose mean is its place."""
UNEVENNESS = 0.12
"""Standard deviation of the change from one step to the next, as a share of the step."""

Heat = NDArray[np.float32]
Path = tuple[float, tuple[int, ...]]
"""A score, and the index of a peak for each link so far."""


def decode(shares: Heat) -> FloatArray:
    """(k, 2) points in continuous input pixels from (k, rows, columns) heat maps that each sum to 1."""
    peaks = [_peaks(heat) for heat in shares]
    points = np.array([places[0] for places, _ in peaks])
    points[list(CHAIN)] = _chain([peaks[channel] for channel in CHAIN])
    return points


def _peaks(heat: Heat) -> tuple[FloatArray, FloatArray]:
    """Up to `PEAKS` places (n, 2) in input pixels and the logarithm of the mass about each, the likeliest first."""
    smooth = cv2.GaussianBlur(heat, (0, 0), 1.0)
    highest = cv2.dilate(smooth, np.ones((5, 5), np.uint8))
    rows, columns = np.nonzero((smooth == highest) & (smooth > 1e-6))
    if len(rows) == 0:
        rows, columns = np.unravel_index([int(smooth.argmax())], smooth.shape)
    order = np.argsort(-smooth[rows, columns])[:PEAKS]
    places, masses = zip(*(_local_mean(heat, int(rows[i]), int(columns[i])) for i in order), strict=True)
    by_mass = np.argsort(-np.array(masses), kind="stable")
    return np.array(places)[by_mass], np.log(np.maximum(np.array(masses)[by_mass], 1e-9))


def _local_mean(heat: Heat, row: int, column: int) -> tuple[FloatArray, float]:
    reach = int(NEAR)
    top, left = max(0, row - reach), max(0, column - reach)
    part = heat[top : row + reach + 1, left : column + reach + 1]
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    weights = part * ((y - row) ** 2 + (x - column) ** 2 <= NEAR**2)
    mass = float(weights.sum())
    centre = np.array([(weights * x).sum(), (weights * y).sum()]) / max(mass, 1e-12)
    return (centre + 0.5) * STRIDE, mass


def _chain(peaks: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """(7, 2) of the likeliest chain; a state is a pair of neighbours, so that steps can be compared."""
    best: dict[tuple[int, int], Path] = {
        (i, j): (float(peaks[0][1][i] + peaks[1][1][j]), (i, j))
        for i, j in itertools.product(range(len(peaks[0][0])), range(len(peaks[1][0])))
    }
    for link in range(2, len(peaks)):
        following: dict[tuple[int, int], Path] = {}
        for (i, j), (score, path) in best.items():
            before = peaks[link - 1][0][j] - peaks[link - 2][0][i]
            length = max(float(np.hypot(*before)), 1.0)
            steps = peaks[link][0] - peaks[link - 1][0][j]
            change = np.hypot(*(steps - before).T) / length
            totals = score + peaks[link][1] - change**2 / (2 * UNEVENNESS**2)
            for k, total in enumerate(totals):
                if (j, k) not in following or total > following[j, k][0]:
                    following[j, k] = (float(total), (*path, k))
        best = following
    _, path = max(best.values())
    return np.array([places[index] for (places, _), index in zip(peaks, path, strict=True)])
