"""Pen contours to voxels."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.prompts import Stroke, voxel_of


def enclosed_region(stroke: Stroke, shape: tuple[int, int, int]) -> BoolArray:
    """The voxels of the stroke's slice whose centres the closed contour encloses (even-odd rule).

    The voxels under the pen's points count too, so that a stroke smaller than a voxel still says something.

    Returns:
        (x, y) bool of the slice; all False when the stroke lies outside the volume.
    """
    region = np.zeros(shape[:2], dtype=bool)
    if not 0 <= stroke.slice_index < shape[2]:
        return region
    points = np.asarray(stroke.points, dtype=np.float64)[:, :2]
    lower = np.clip(np.floor(points.min(axis=0)).astype(int), 0, shape[:2])
    upper = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, shape[:2])
    if (upper > lower).all():
        block = (slice(lower[0], upper[0]), slice(lower[1], upper[1]))
        region[block] = _even_odd(points, np.arange(lower[0], upper[0]), np.arange(lower[1], upper[1]))
    for x, y in points:
        i, j, _ = voxel_of((float(x), float(y), 0.0))
        if 0 <= i < shape[0] and 0 <= j < shape[1]:
            region[i, j] = True
    return region


def _even_odd(points: FloatArray, xs: FloatArray, ys: FloatArray) -> BoolArray:
    inside = np.zeros((len(xs), len(ys)), dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > ys) != (y1 > ys)
        crossing = x0 + (ys - y0) * (x1 - x0) / (y1 - y0)
        inside ^= spans[None, :] & (xs[:, None] < crossing[None, :])
    return inside


def stroke_mask(strokes: tuple[Stroke, ...], shape: tuple[int, int, int]) -> BoolArray:
    """(x, y, z) bool: what all strokes enclose, each on its slice."""
    mask = np.zeros(shape, dtype=bool)
    for stroke in strokes:
        if 0 <= stroke.slice_index < shape[2]:
            mask[:, :, stroke.slice_index] |= enclosed_region(stroke, shape)
    return mask
