"""A volume and its geometry.

Everything inside the server uses arrays in ``(x, y, z)`` index order and one 4x4 affine from voxel indices to LPS
millimetres (DICOM patient coordinates). An integer index is the centre of its voxel; its faces are at index ± 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where a voxel grid lies in the patient.

    Attributes:
        affine: 4x4 float64, voxel index ``(x, y, z)`` to LPS millimetres.
        shape: number of voxels along x, y and z.
    """

    affine: FloatArray
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError("The affine must be a 4x4 matrix of finite numbers.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise ValueError("The affine is singular.")
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError("The shape must be three positive numbers.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_axes(
        cls,
        origin: npt.ArrayLike,
        spacing: npt.ArrayLike,
        directions: npt.ArrayLike,
        shape: tuple[int, int, int],
    ) -> Geometry:
        """Make a geometry from DICOM-like parts.

        Args:
            origin: LPS position in mm of the centre of voxel (0, 0, 0).
            spacing: voxel size in mm along x, y and z.
            directions: 3x3, its *columns* are the LPS unit vectors of the x, y and z axes.
            shape: number of voxels along x, y and z.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(directions, dtype=np.float64) * np.asarray(spacing, dtype=np.float64)
        affine[:3, 3] = np.asarray(origin, dtype=np.float64)
        return cls(affine, shape)

    @property
    def spacing(self) -> FloatArray:
        """Voxel size in mm along x, y and z."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def directions(self) -> FloatArray:
        """3x3 matrix whose columns are the LPS unit vectors of the voxel axes."""
        return np.asarray(self.affine[:3, :3] / self.spacing)

    @property
    def origin(self) -> FloatArray:
        """LPS position in mm of the centre of voxel (0, 0, 0)."""
        return np.asarray(self.affine[:3, 3])

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def ras_affine(self) -> FloatArray:
        """4x4 affine from voxel index to RAS mm, as NIfTI and Slicer use it."""
        return np.asarray(LPS_TO_RAS @ self.affine)

    def to_world(self, indices: npt.ArrayLike) -> FloatArray:
        """Voxel indices (..., 3), continuous, to LPS mm (..., 3)."""
        points = np.asarray(indices, dtype=np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_voxel(self, points: npt.ArrayLike) -> FloatArray:
        """LPS mm (..., 3) to continuous voxel indices (..., 3)."""
        world = np.asarray(points, dtype=np.float64)
        return np.asarray((world - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T)

    def contains(self, indices: npt.ArrayLike) -> BoolArray:
        """Whether continuous voxel indices (..., 3) lie in a voxel of the grid (faces at index ± 0.5)."""
        points = np.asarray(indices, dtype=np.float64)
        inside = (points >= -0.5) & (points < np.asarray(self.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def cropped(self, lower: npt.ArrayLike, shape: tuple[int, int, int]) -> Geometry:
        """The geometry of the sub-grid that starts at voxel ``lower`` (may be negative: padding) and has ``shape``."""
        affine = np.array(self.affine)
        affine[:3, 3] = self.to_world(np.asarray(lower, dtype=np.float64))
        return Geometry(affine, shape)


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image with its geometry.

    Attributes:
        array: (x, y, z) numeric array; CT in Hounsfield units.
        geometry: where the voxels lie; ``geometry.shape == array.shape``.
    """

    array: npt.NDArray[Any]
    geometry: Geometry

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != self.geometry.shape:
            raise ValueError(f"The array's shape {self.array.shape} is not the geometry's {self.geometry.shape}.")
