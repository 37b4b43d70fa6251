"""Where a volume's voxels lie in its own RAS space, and the way to DICOM's LPS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Index = tuple[int, int, int]

PARALLEL_TOLERANCE = 1e-4
"""Largest cosine between two axes that still counts as a right angle."""


class GeometryError(ValueError):
    """The volume's grid cannot be used; the message is a sentence for the person who asked."""


def rasToLPS(points: npt.ArrayLike) -> FloatArray:
    """RAS mm (..., 3) to LPS mm (..., 3)."""
    return np.asarray(np.asarray(points, dtype=np.float64) * np.array([-1.0, -1.0, 1.0]))


def lpsToRAS(points: npt.ArrayLike) -> FloatArray:
    """LPS mm (..., 3) to RAS mm (..., 3)."""
    return rasToLPS(points)


def voxelOf(ijk: npt.ArrayLike) -> Index:
    """The voxel (i, j, k) that holds a continuous index; a point on a face belongs to the higher voxel."""
    i, j, k = (int(np.floor(value + 0.5)) for value in np.asarray(ijk, dtype=np.float64))
    return i, j, k


class VolumeGeometry:
    """A voxel grid in the volume's own space. An integer index is a voxel's centre; its faces are at index ± 0.5.

    Attributes:
        matrix: 4x4 float64, voxel index (i, j, k) to local RAS mm. Flipped and left-handed grids are fine.
        shape: number of voxels along i, j and k.
    """

    def __init__(self, ijkToRAS: npt.ArrayLike, shape: Sequence[int]) -> None:
        """Take a 4x4 IJK-to-RAS matrix and the number of voxels along i, j, k.

        Raises:
            GeometryError: the matrix is singular or sheared, or an axis has no voxel.
        """
        matrix = np.array(ijkToRAS, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("The volume's geometry is not a matrix of finite numbers.")
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError("The volume has no voxels.")
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if spacing.min() <= 0:
            raise GeometryError("The volume's voxels have no size.")
        directions = matrix[:3, :3] / spacing
        if np.abs(directions.T @ directions - np.eye(3)).max() > PARALLEL_TOLERANCE:
            raise GeometryError(
                "The volume's axes are not perpendicular to each other (a gantry tilt, perhaps). "
                "Resample it first, for example with the Resample Scalar/Vector/DWI Volume module."
            )
        self.matrix: FloatArray = matrix
        self.shape: Index = (int(shape[0]), int(shape[1]), int(shape[2]))
        self._inverse: FloatArray = np.asarray(np.linalg.inv(matrix), dtype=np.float64)

    @property
    def spacing(self) -> FloatArray:
        """Voxel size in mm along i, j and k."""
        return np.asarray(np.linalg.norm(self.matrix[:3, :3], axis=0))

    @property
    def directions(self) -> FloatArray:
        """3x3, its columns are the RAS unit vectors of the i, j and k axes."""
        return np.asarray(self.matrix[:3, :3] / self.spacing)

    @property
    def isOblique(self) -> bool:
        """Whether an axis is parallel to none of R, A and S."""
        return bool((np.abs(self.directions).max(axis=0) < 1.0 - PARALLEL_TOLERANCE).any())

    @property
    def isLeftHanded(self) -> bool:
        """Whether i, j, k is a left-handed system in RAS."""
        return bool(np.linalg.det(self.matrix[:3, :3]) < 0)

    def ijkToRAS(self, ijk: npt.ArrayLike) -> FloatArray:
        """Continuous voxel indices (..., 3) to local RAS mm (..., 3)."""
        points = np.asarray(ijk, dtype=np.float64)
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def rasToIJK(self, ras: npt.ArrayLike) -> FloatArray:
        """Local RAS mm (..., 3) to continuous voxel indices (..., 3)."""
        points = np.asarray(ras, dtype=np.float64)
        return np.asarray(points @ self._inverse[:3, :3].T + self._inverse[:3, 3])

    def contains(self, ras: npt.ArrayLike) -> Any:
        """Whether local RAS points (..., 3) lie in a voxel of the grid: bool, or an array of bool (...)."""
        ijk = self.rasToIJK(ras)
        return ((ijk >= -0.5) & (ijk < np.asarray(self.shape) - 0.5)).all(axis=-1)

    def sliceOf(self, ras: npt.ArrayLike) -> int:
        """The slice (k index) that holds a local RAS point; may lie outside the grid."""
        return voxelOf(self.rasToIJK(ras))[2]
