"""A whole scan as a client holds it: stored values and DICOM geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan.

    Attributes:
        stored: (x, y, z) int16 as in the DICOM files; HU = stored × slope + intercept.
        origin: LPS mm of voxel (0, 0, 0).
        spacing: mm.
        directions: 3x3, columns are the LPS unit vectors of the axes.
        slope, intercept: to HU.
    """

    stored: NDArray[np.int16]
    origin: NDArray[np.float64]
    spacing: NDArray[np.float64]
    directions: NDArray[np.float64]
    slope: float = 1.0
    intercept: float = -1024.0

    @classmethod
    def from_hu(cls, hu: ArrayLike, origin: ArrayLike, spacing: ArrayLike, directions: ArrayLike) -> Scan:
        stored = np.asarray(hu).astype(np.int32) + 1024
        return cls(
            stored.clip(-32768, 32767).astype(np.int16),
            np.asarray(origin, float),
            np.asarray(spacing, float),
            np.asarray(directions, float),
        )

    def world(self, index: ArrayLike) -> list[float]:
        """LPS mm of a continuous voxel index."""
        position = self.origin.copy()
        for axis, steps in enumerate(np.asarray(index, float)):
            position += self.directions[:, axis] * self.spacing[axis] * steps
        return [float(value) for value in position]

    def crop_bytes(self, lower: ArrayLike, upper: ArrayLike) -> bytes:
        """The ``image`` part of a crop; both corners are inside it."""
        (x0, y0, z0), (x1, y1, z1) = np.asarray(lower), np.asarray(upper)
        return self.stored[x0 : x1 + 1, y0 : y1 + 1, z0 : z1 + 1].astype("<i2").tobytes(order="F")


def ellipsoid_scan(
    shape: tuple[int, int, int] = (80, 80, 24),
    spacing: tuple[float, float, float] = (0.8, 0.8, 3.0),
    centre: tuple[float, float, float] = (40, 40, 12),
    radii_mm: tuple[float, float, float] = (14, 11, 15),
    directions: ArrayLike | None = None,
    origin: ArrayLike = (-30.0, -250.0, -812.5),
    seed: int = 5,
) -> tuple[Scan, NDArray[np.bool_]]:
    """A bright ellipsoid in noisy soft tissue: a small, easy lesion whose mask is known exactly.

    Returns:
        the scan, and its lesion as (x, y, z) bool.
    """
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    distance = sum(
        ((axis - middle) * step / radius) ** 2
        for axis, middle, step, radius in zip(axes, centre, spacing, radii_mm, strict=True)
    )
    lesion = distance <= 1
    hu = np.where(lesion, 90.0, -20.0) + rng.normal(0, 12, shape)
    return Scan.from_hu(np.rint(hu), origin, spacing, np.eye(3) if directions is None else directions), lesion
