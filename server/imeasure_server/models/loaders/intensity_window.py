"""Which intensities of a volume a network for photographs is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.models.inference import Point

Window = tuple[float, float]

AIR_HU = -500.0
CT_WINDOWS: tuple[Window, ...] = ((-160.0, 240.0), (-1350.0, 150.0), (-500.0, 1300.0))
"""Of a CT: soft tissue, lung, bone (level 40, -600 and 400 HU; width 400, 1500 and 1800 HU)."""
SHARES = (0.5, 99.5)
"""Percentiles between which another image is shown."""
_SAMPLES = 200_000


def given_window(value: object) -> Window | None:
    """A window that a config or a request names: two numbers, low and high; None for anything else."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) and np.isfinite(item) for item in value):
        return None
    low, high = float(value[0]), float(value[1])
    return (low, high) if low < high else None


def choose_window(array: npt.NDArray[Any], points: Iterable[Point]) -> Window:
    """The window in which what lies under the points can be told from what is around it.

    Args:
        array: (x, y, z); a CT in HU, or another image.
        points: inside the object, in voxel indices.
    """
    step = max(1, int((array.size / _SAMPLES) ** (1 / 3)))
    sample = np.asarray(array[tuple(slice(None, None, min(step, size)) for size in array.shape)], dtype=np.float64)
    if sample.min() > AIR_HU:
        low, high = (float(value) for value in np.percentile(sample, SHARES))
        return (low, high) if low < high else (low - 0.5, low + 0.5)
    around = [_around(array, point) for point in points]
    if not around:
        return CT_WINDOWS[0]
    level = float(np.median(np.concatenate(around)))
    return next((window for window in CT_WINDOWS if window[0] <= level <= window[1]), CT_WINDOWS[2])


def _around(array: npt.NDArray[Any], point: Point) -> npt.NDArray[np.float64]:
    """Intensities on the point's slice within two voxels of it."""
    x, y, z = (int(np.clip(round(value), 0, size - 1)) for value, size in zip(point, array.shape, strict=True))
    near = array[max(0, x - 2) : x + 3, max(0, y - 2) : y + 3, z]
    return np.asarray(near, dtype=np.float64).ravel()
