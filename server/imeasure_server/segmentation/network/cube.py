"""The cube of equal cells on which the network works, and the way to it and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cube:
    """Cells of equal size along the axes of a volume; a part may lie beyond the volume.

    Attributes:
        centre: (3,) continuous voxel index of the cube's middle.
        cell: mm.
        side: number of cells along each axis.
        voxel_spacing: (3,) mm.
        shape: of the volume.
    """

    centre: FloatArray
    cell: float
    side: int
    voxel_spacing: FloatArray
    shape: tuple[int, int, int]

    @property
    def extent(self) -> float:
        """Length of an edge in mm."""
        return self.cell * self.side

    def positions(self, axis: int) -> FloatArray:
        """Continuous voxel index of each cell's middle along an axis."""
        offsets = np.arange(self.side) - (self.side - 1) / 2
        return np.asarray(self.centre[axis] + offsets * self.cell / self.voxel_spacing[axis])

    def cell_of(self, index: npt.ArrayLike) -> tuple[float, float, float]:
        """A continuous voxel index in cells."""
        offset = (np.asarray(index, dtype=np.float64) - self.centre) * self.voxel_spacing / self.cell
        x, y, z = (float(v) for v in offset + (self.side - 1) / 2)
        return x, y, z

    def inside(self) -> Float32Array:
        """(side, side, side) 1 where the volume is, 0 beyond it."""
        x, y, z = (((p > -0.5) & (p < n - 0.5)) for p, n in zip(map(self.positions, range(3)), self.shape, strict=True))
        return np.asarray(x[:, None, None] & y[:, None] & z, dtype=np.float32)

    def sample(self, array: npt.NDArray[Any]) -> Float32Array:
        """Values of the volume in the cells, averaged where cells are larger than voxels; its border goes on."""
        block, matrices = [], []
        for axis in range(3):
            places = np.clip(self.positions(axis), 0, self.shape[axis] - 1.0)
            step = self.cell / self.voxel_spacing[axis]
            sigma = 0.45 * (step - 1.0) if step > 1.0 else 0.0
            margin = 3.0 * max(sigma, 0.5)
            first = max(0, int(np.floor(places[0] - margin)))
            last = min(self.shape[axis], int(np.ceil(places[-1] + margin)) + 1)
            block.append(slice(first, last))
            matrices.append(_weights(places, np.arange(first, last), sigma))
        return _apply(matrices, np.asarray(array[tuple(block)], dtype=np.float32))

    def to_volume(self, values: npt.NDArray[Any]) -> tuple[tuple[slice, slice, slice], Float32Array]:
        """Linear interpolation of the cells' values at the voxels that the cube covers.

        Returns:
            The block of the volume, and the values there.
        """
        block, matrices = [], []
        for axis in range(3):
            places = self.positions(axis)
            half = self.cell / self.voxel_spacing[axis] / 2
            first = max(0, int(np.ceil(places[0] - half)))
            last = min(self.shape[axis], int(np.floor(places[-1] + half)) + 1)
            block.append(slice(first, max(first, last)))
            index = (np.arange(first, max(first, last)) - places[0]) / (2 * half)
            matrices.append(_weights(np.clip(index, 0, self.side - 1), np.arange(self.side), 0.0))
        return (block[0], block[1], block[2]), _apply(matrices, np.asarray(values, dtype=np.float32))


def _weights(positions: FloatArray, voxels: npt.NDArray[np.int_], sigma: float) -> Float32Array:
    """Rows of normalised weights: a Gaussian, or linear interpolation when ``sigma`` is small."""
    distance = np.abs(positions[:, None] - voxels[None, :])
    linear = np.maximum(0.0, 1.0 - distance)
    if sigma >= 0.2:
        weights = np.exp(-0.5 * (distance / sigma) ** 2)
        weights[distance > 3.0 * sigma + 0.5] = 0.0
        weights = np.where(weights.sum(axis=1, keepdims=True) > 1e-6, weights, linear)
    else:
        weights = linear
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12), dtype=np.float32)


def interpolation(index: FloatArray, count: int) -> Float32Array:
    """(n, count) weights of linear interpolation at continuous indices, each within 0 to ``count`` - 1."""
    return _weights(index, np.arange(count), 0.0)


def _apply(matrices: list[Float32Array], values: Float32Array) -> Float32Array:
    # The axis that shrinks most comes first: less is left to do for the others.
    for axis in sorted(range(3), key=lambda a: matrices[a].shape[0] / max(1, matrices[a].shape[1])):
        values = np.moveaxis(np.tensordot(matrices[axis], values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)


def box_of(mask: BoolArray) -> tuple[FloatArray, FloatArray]:
    """The first and the last voxel of a mask along each axis, as continuous indices of the box's faces.

    Raises:
        ValueError: the mask is empty.
    """
    lower, upper = [], []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(found):
            raise ValueError("An empty mask has no box.")
        lower.append(found[0] - 0.5)
        upper.append(found[-1] + 0.5)
    return np.array(lower), np.array(upper)
