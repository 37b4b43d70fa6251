"""Guesses of an object's place and size: ellipsoids in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imeasure_server.imaging.volume import FloatArray


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Where an object may be.

    Attributes:
        centre: continuous voxel index.
        metric: (3, 3) symmetric, in 1/mm² along the voxel axes: an offset ``o`` lies on the ellipsoid when
            ``o @ metric @ o == 1``.
        trust: how well the size is known: 0 (the search guesses) to 1 (the person showed it).
    """

    centre: FloatArray
    metric: FloatArray
    trust: float = 0.0

    @classmethod
    def ball(cls, centre: FloatArray, radius: float, trust: float = 0.0) -> Hypothesis:
        """A ball of ``radius`` mm."""
        return cls(np.asarray(centre, dtype=np.float64), np.eye(3) / radius**2, trust)

    @classmethod
    def spindle(cls, centre: FloatArray, axis: FloatArray, long: float, short: float, trust: float) -> Hypothesis:
        """An ellipsoid of revolution with half axes ``long`` mm along the unit vector ``axis`` and ``short`` across."""
        along = np.outer(axis, axis)
        return cls(np.asarray(centre, dtype=np.float64), along / long**2 + (np.eye(3) - along) / short**2, trust)

    @classmethod
    def aligned(cls, centre: FloatArray, half_axes: FloatArray, trust: float) -> Hypothesis:
        """An ellipsoid along the voxel axes with the given half axes in mm."""
        return cls(np.asarray(centre, dtype=np.float64), np.diag(1.0 / np.asarray(half_axes) ** 2), trust)

    @property
    def radius(self) -> float:
        """Radius in mm of the ball of the same volume."""
        return float(np.linalg.det(self.metric) ** (-1.0 / 6.0))

    @property
    def half_extent(self) -> FloatArray:
        """(3,) mm: half of the ellipsoid's bounding box."""
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(self.metric))))

    def distance(self, offsets_mm: FloatArray) -> FloatArray:
        """1 on the ellipsoid, 0 in the centre, for offsets (..., 3) in mm from the centre."""
        squared = np.einsum("...i,ij,...j->...", offsets_mm, self.metric, offsets_mm)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))
