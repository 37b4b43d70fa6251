"""A mask on a slice as polygons, and back.

Vertices are centres of pixels *of the mask*, ``(x, y)`` indices of the slice. Outer outlines and those of holes are
alike: a mask is what an odd number of them surrounds, and the outlines themselves, as ``cv2.fillPoly`` has it. With
every outline pixel as a vertex a mask comes back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray

Polygon = npt.NDArray[np.int32]
"""(n, 2) vertices, closed without repeating the first."""

ALIKE = 0.99
"""Dice that a mask made of the polygons has at least with the mask that they were made of."""
TOLERANCES = (np.inf, 1.5, 1.0, 0.7, 0.5, 0.0)
"""How far, in pixels, an outline may lie from its polygon; tried until the masks are alike."""


def outline_polygons(mask: BoolArray, step: int = 10) -> list[Polygon]:
    """The outlines of a mask.

    Args:
        mask: (x, y) bool.
        step: a vertex about every so many pixels of the outline; more where the shape needs them, so that the mask
            that the polygons make has a Dice of at least `ALIKE` with this one.
    """
    outlines = outline_pixels(mask)
    for tolerance in TOLERANCES:
        polygons = [_thinned(outline, step, tolerance) for outline in outlines]
        if _dice(mask, fill_polygons(polygons, mask.shape)) >= ALIKE:
            break
    return polygons if outlines else []


def outline_pixels(mask: BoolArray) -> list[Polygon]:
    """Every pixel of each outline, in order around it; outer ones and those of holes."""
    found, _ = cv2.findContours(_image(mask), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.ascontiguousarray(outline[:, 0, ::-1]) for outline in found]


def fill_polygons(polygons: Sequence[npt.NDArray[np.integer]], shape: tuple[int, ...]) -> BoolArray:
    """The mask of polygons, all of one slice.

    Args:
        polygons: (n, 2) vertices each, which may lie outside the slice; those without vertices are passed by.
        shape: (x, y) of the slice.
    """
    canvas = np.zeros(shape, np.uint8)
    turned = [np.ascontiguousarray(polygon[:, ::-1], np.int32) for polygon in polygons if len(polygon)]
    if turned:
        cv2.fillPoly(canvas, turned, 1)
    return canvas.astype(bool)


def _thinned(outline: Polygon, step: int, tolerance: float) -> Polygon:
    """Vertices of one outline: every ``step``-th pixel, and where that cuts corners, those corners."""
    kept = np.arange(0, len(outline), max(1, step))
    inside, shape = _own_mask(outline)
    for closer in TOLERANCES[TOLERANCES.index(tolerance) :]:
        chosen = np.array(sorted({*kept.tolist(), *_corners(outline, kept, closer)}))
        polygon: Polygon = outline[chosen]
        if _dice(inside, fill_polygons([polygon - outline.min(axis=0)], shape)) >= ALIKE:
            return polygon
    return outline


def _own_mask(outline: Polygon) -> tuple[BoolArray, tuple[int, ...]]:
    lower = outline.min(axis=0)
    shape = tuple(int(size) for size in np.ptp(outline, axis=0) + 1)
    return fill_polygons([outline - lower], shape), shape


def _corners(outline: Polygon, kept: npt.NDArray[np.int_], tolerance: float) -> list[int]:
    """What must be kept too, so that no pixel is farther than ``tolerance`` from the polygon (Douglas-Peucker)."""
    if not np.isfinite(tolerance):
        return []
    found: list[int] = []
    waiting = [(int(a), int(b)) for a, b in zip(kept, [*kept[1:], len(outline)], strict=True)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        distances = _distances(outline[first + 1 : last], outline[first], outline[last % len(outline)])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            found.append(middle)
            waiting += [(first, middle), (middle, last)]
    return found


def _distances(points: Polygon, start: Polygon, end: Polygon) -> npt.NDArray[np.float64]:
    """Of points from a segment, in pixels."""
    along = (end - start).astype(np.float64)
    length = float(along @ along)
    relative = (points - start).astype(np.float64)
    place = np.clip(relative @ along / length, 0, 1) if length else np.zeros(len(points))
    return np.asarray(np.linalg.norm(relative - place[:, None] * along, axis=1))


def _dice(one: BoolArray, other: BoolArray) -> float:
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2 * int((one & other).sum()) / total


def _image(mask: BoolArray) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(mask, dtype=np.uint8)
