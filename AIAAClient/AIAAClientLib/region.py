"""The part of a volume that is sent where the rest cannot matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MARGIN_MM = 60.0
"""Around the prompts in a new region."""

ENOUGH_MM = 20.0
"""Around the prompts in a region that is used again."""

Index3 = tuple[int, int, int]


@dataclass(frozen=True)
class Region:
    """A box of voxels: ``origin`` its first (i, j, k), ``size`` its number of voxels along each."""

    origin: Index3
    size: Index3

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The box of a (k, j, i) array; a view."""
        (i, j, k), (ni, nj, nk) = self.origin, self.size
        return array[k : k + nk, j : j + nj, i : i + ni]


def regionAround(
    points: npt.NDArray[np.float64], shape: Sequence[int], spacing: npt.ArrayLike, former: Region | None = None
) -> Region | None:
    """The box around positions, with room for the object that they show.

    Args:
        points: (n, 3) voxel indices (i, j, k).
        shape, spacing: of the volume along i, j, k; mm.
        former: is taken again while it has room enough around the positions.

    Returns:
        None when that is the whole volume, or there are no positions.
    """
    if len(points) == 0:
        return None
    sizes, step = np.asarray(shape), np.asarray(spacing, dtype=np.float64)
    if former is not None:
        low, high = _box(points, sizes, step, ENOUGH_MM)
        first = np.asarray(former.origin)
        if (low >= first).all() and (high <= first + former.size).all():
            return former
    low, high = _box(points, sizes, step, MARGIN_MM)
    if (high - low == sizes).all():
        return None
    i, j, k = (int(value) for value in low)
    ni, nj, nk = (int(value) for value in high - low)
    return Region((i, j, k), (ni, nj, nk))


def _box(
    points: npt.NDArray[np.float64], sizes: npt.NDArray[Any], step: npt.NDArray[np.float64], margin: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First voxel, and the one after the last, within the volume."""
    low = np.floor(points.min(axis=0) - margin / step + 0.5).astype(np.int64)
    high = np.floor(points.max(axis=0) + margin / step + 0.5).astype(np.int64) + 1
    return np.clip(low, 0, sizes - 1), np.clip(high, 1, sizes)
