"""How well two masks agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry
from imeasure_server.measurement import measure

TOLERANCE = 2.0  # mm, of the normalised surface Dice


@dataclass(frozen=True)
class Scores:
    """One mask against the truth. An empty mask has axes of 0 mm and no distances: None.

    Attributes:
        dice: 0 to 1.
        surface_dice: share of both surfaces within 2 mm of the other one.
        hd95: mm, 95th percentile of the distances between the surfaces (the larger of both directions).
        volume_error: of the true volume, signed.
        long_axis_error: mm, longest long axis of any slice, signed.
        long_axis_share: the same, absolute, of the true one.
        short_axis_error: mm, of the slice with the longest long axis, signed.
        short_axis_share: the same, absolute, of the true one.
    """

    dice: float
    surface_dice: float
    hd95: float | None
    volume_error: float
    long_axis_error: float
    long_axis_share: float
    short_axis_error: float
    short_axis_share: float


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Dice coefficient: 1 for equal masks, 0 for disjoint ones; two empty masks are equal."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * float((first & second).sum()) / total if total else 1.0


def score(mask: NDArray[np.bool_], truth: NDArray[np.bool_], geometry: Geometry) -> Scores:
    """All figures of one mask; both arrays (x, y, z) on the same geometry, the truth not empty."""
    volume_error = float(mask.sum()) / float(truth.sum()) - 1.0
    true = _axes(truth, geometry)
    if not mask.any():
        return Scores(0.0, 0.0, None, volume_error, -true[0], 1.0, -true[1], 1.0)
    there, back = surface_distances(mask, truth, geometry.spacing)
    near = int((there <= TOLERANCE).sum()) + int((back <= TOLERANCE).sum())
    hd95 = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    own = _axes(mask, geometry)
    long_error, short_error = own[0] - true[0], own[1] - true[1]
    return Scores(
        dice(mask, truth),
        near / (len(there) + len(back)),
        hd95,
        volume_error,
        long_error,
        abs(long_error) / true[0],
        short_error,
        abs(short_error) / true[1],
    )


def surface_distances(
    first: NDArray[np.bool_], second: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance in mm from each surface voxel of one mask to the other's surface, both ways; neither mask is empty.

    A surface voxel has a face that is not mask; the grid's border counts as outside.
    """
    (box,) = ndimage.find_objects((first | second).astype(np.uint8))
    surfaces = [np.pad(mask[box], 1) for mask in (first, second)]
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in surfaces]
    away = [ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    return away[1][surfaces[0]], away[0][surfaces[1]]


def _axes(mask: NDArray[np.bool_], geometry: Geometry) -> tuple[float, float]:
    """Long and short axis in mm of the slice with the longest long axis."""
    best = max(measure(mask, geometry).cross.values(), key=lambda cross: cross.long.length)
    return best.long.length, best.short.length
