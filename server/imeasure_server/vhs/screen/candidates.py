"""Which of the places where the network sees corners belong together.

The network's maps often have more than one peak: the corner of the lit area, of the frame, of a window on the screen.
Of all quadrilaterals between them that one is taken whose sides are edges in the photograph, which is around what the
network sees as lit, and whose corners the network finds likely.
"""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.screen.architecture import STRIDE
from imeasure_server.vhs.screen.edges import side_evidence
from imeasure_server.vhs.screen.letterbox import Letterbox

Picture: TypeAlias = NDArray[np.uint8]
Maps: TypeAlias = NDArray[np.float32]

PEAKS = 3
"""Of each corner's map that are looked at, besides its mean."""

LEAST_LIKELY = 0.02
"""Probability of a peak, relative to the highest one."""

SIDE = 640
"""Longer side, in pixels, of the picture in which edges are looked for."""

REACH = 0.02
"""How far from the line between two candidates an edge may be, as a fraction of the diagonal."""

WEIGHT_OF_OVERLAP, WEIGHT_OF_HEAT = 2.0, 0.08


def choose_corners(part: Picture, box: Letterbox, mean: FloatArray, heat: Maps, mask: Maps) -> FloatArray:
    """Corners (4, 2) in pixels of the part of the picture that the network was asked of.

    Args:
        part: (h, w) or (h, w, 3).
        box: its letterbox.
        mean: (4, 2) the corners that the network answers, in the square.
        heat: (4, rows, columns) log odds of a corner lying in a cell.
        mask: (rows, columns) log odds of a cell being lit.
    """
    height, width = part.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA) if factor < 1 else part, np.uint8)
    scale = np.array([size[0] / width, size[1] / height])
    reach = REACH * float(np.hypot(*size))
    candidates = [_candidates(one, place) for one, place in zip(heat, mean, strict=True)]
    places = [box.to_picture(points) for points, _ in candidates]
    sides = []
    for number in range(4):
        firsts, seconds = places[number] * scale, places[(number + 1) % 4] * scale
        sides.append([[side_evidence(small, first, second, reach) for second in seconds] for first in firsts])
    best, chosen = -np.inf, box.to_picture(mean)
    for picked in product(*(range(len(points)) for points in places)):
        evidence = sum(sides[n][picked[n]][picked[(n + 1) % 4]] for n in range(4))
        likely = sum(candidates[n][1][picked[n]] for n in range(4))
        corners = np.array([places[n][picked[n]] for n in range(4)])
        overlap = overlap_of(box.to_square(corners), mask)
        score = evidence + WEIGHT_OF_OVERLAP * overlap + WEIGHT_OF_HEAT * likely
        if score > best:
            best, chosen = score, corners
    return chosen


def overlap_of(corners: FloatArray, mask: Maps) -> float:
    """Intersection over union of a quadrilateral (4, 2), in pixels of the square, and the mask."""
    within = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(within, np.round((corners / STRIDE - 0.5) * 16).astype(np.int32), (1,), cv2.LINE_8, 4)
    inside, lit = within > 0, mask > 0
    union = int(np.count_nonzero(inside | lit))
    return int(np.count_nonzero(inside & lit)) / union if union else 0.0


def _candidates(heat: Maps, mean: FloatArray) -> tuple[FloatArray, list[float]]:
    """Places (n, 2) in the square, and the logarithm of how likely each is beside the likeliest."""
    rows, columns = heat.shape
    rest = heat.astype(float) - float(heat.max())
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    points, likely = [], []
    for _ in range(PEAKS):
        row, column = np.unravel_index(int(np.argmax(rest)), rest.shape)
        if rest[row, column] < np.log(LEAST_LIKELY):
            break
        near = (np.abs(x - column) <= 2) & (np.abs(y - row) <= 2)
        weight = np.where(near, np.exp(heat - float(heat.max())), 0.0)
        points.append([((x + 0.5) * weight).sum(), ((y + 0.5) * weight).sum()] / weight.sum() * STRIDE)
        likely.append(float(rest[row, column]))
        rest[near] = -np.inf
    cell = np.clip((mean / STRIDE).astype(int), 0, [columns - 1, rows - 1])
    if min(np.hypot(*(np.array(points) - mean).T)) > STRIDE:
        points.append(mean)
        likely.append(max(float(heat[cell[1], cell[0]] - heat.max()), float(np.log(LEAST_LIKELY))))
    return np.array(points), likely
