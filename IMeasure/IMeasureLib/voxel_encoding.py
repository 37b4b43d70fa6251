"""Voxels of any type as the contract's int16 with a rescale slope and intercept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LOWEST, HIGHEST = -32768, 32767
LIMIT = 1e6
"""Values beyond ± this are no intensities of an image; they are cut off so that they do not use up the 16 bits."""


def encodeVoxels(voxels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int16], float, float]:
    """Find ``stored``, ``slope`` and ``intercept`` with ``voxels ≈ stored * slope + intercept``.

    Exact for whole numbers that span at most 65,535; else to within half a 65,535th of the span. Voxels that are not
    finite become the lowest finite value.

    Returns:
        stored (same shape, little-endian int16), slope, intercept.
    """
    values = np.asarray(voxels)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    if values.size == 0:
        return values.astype("<i2"), 1.0, 0.0
    low, high = float(values.min()), float(values.max())
    if low < -LIMIT or high > LIMIT:
        values = np.clip(values, -LIMIT, LIMIT)
        low, high = max(low, -LIMIT), min(high, LIMIT)
    whole = values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    if whole and low >= LOWEST and high <= HIGHEST:
        return values.astype("<i2"), 1.0, 0.0
    if whole and high - low <= HIGHEST - LOWEST:
        intercept = low - LOWEST
        return (values.astype(np.float64) - intercept).astype("<i2"), 1.0, intercept
    slope = (high - low) / (HIGHEST - LOWEST) or 1.0
    intercept = low - LOWEST * slope if high > low else low
    stored = np.rint((values.astype(np.float64) - intercept) / slope)
    return np.clip(stored, LOWEST, HIGHEST).astype("<i2"), slope, intercept
