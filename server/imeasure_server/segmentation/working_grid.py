"""A small, nearly isotropic grid around the object, on which an engine computes whatever the volume's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """Sampling positions along the axes of a volume, never denser than its voxels.

    Positions are placed symmetrically around ``centre``, so that a flipped volume with flipped prompts gets the
    flipped grid. Those beyond the volume are left out: nothing is known there.

    Attributes:
        positions: per axis, the sampled voxel coordinates (increasing, continuous).
        step: distance between them in voxels, per axis, >= 1.
        spacing: the same in mm.
    """

    positions: tuple[FloatArray, FloatArray, FloatArray]
    step: FloatArray
    spacing: FloatArray

    @classmethod
    def around(
        cls,
        centre: FloatArray,
        reach_mm: FloatArray,
        step_mm: float,
        voxel_spacing: FloatArray,
        shape: tuple[int, int, int],
    ) -> WorkingGrid:
        """A grid that covers ``centre`` ± ``reach_mm``, with samples about ``step_mm`` apart.

        Args:
            centre: continuous voxel index.
            reach_mm: (3,) half extent along each axis in mm.
            step_mm: wanted distance of samples; an axis with thicker voxels keeps its voxels.
            voxel_spacing: (3,) mm.
            shape: of the volume.
        """
        step = np.maximum(step_mm / voxel_spacing, 1.0)
        positions = []
        for axis in range(3):
            # Voxel for voxel when nothing is to be gained by resampling.
            if step[axis] < 1.3:
                step[axis] = 1.0
            middle = np.rint(centre[axis]) if step[axis] == 1.0 else centre[axis]
            count = int(np.ceil(reach_mm[axis] / (step[axis] * voxel_spacing[axis])))
            samples = middle + step[axis] * np.arange(-count, count + 1)
            samples = samples[(samples > -0.5) & (samples < shape[axis] - 0.5)]
            positions.append(np.clip(samples, 0, shape[axis] - 1.0))
        return cls((positions[0], positions[1], positions[2]), step, step * voxel_spacing)

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = (len(p) for p in self.positions)
        return x, y, z

    def offsets_mm(self, centre: FloatArray, voxel_spacing: FloatArray) -> FloatArray:
        """(x, y, z, 3) displacement in mm of each sample from a continuous voxel index."""
        axes = [(p - c) * s for p, c, s in zip(self.positions, centre, voxel_spacing, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def nearest(self, index: npt.ArrayLike) -> tuple[int, int, int]:
        """The sample nearest to a continuous voxel index."""
        x, y, z = (int(np.abs(p - v).argmin()) for p, v in zip(self.positions, np.asarray(index, float), strict=True))
        return x, y, z

    def covers(self, index: npt.ArrayLike) -> bool:
        """Whether a voxel index lies within the grid, half a step around it included."""
        point = np.asarray(index, float)
        return all(p[0] - s / 2 <= v <= p[-1] + s / 2 for p, s, v in zip(self.positions, self.step, point, strict=True))

    def within(self, lower: FloatArray, upper: FloatArray) -> BoolArray:
        """The samples between two corners (continuous voxel indices)."""
        x, y, z = ((p >= lo) & (p <= up) for p, lo, up in zip(self.positions, lower, upper, strict=True))
        return np.asarray(x[:, None, None] & y[:, None] & z)

    def sample(self, array: npt.NDArray[Any], smoothing: float = 0.45) -> Float32Array:
        """Values of a volume at the grid's positions, averaged over a Gaussian of ``smoothing`` steps.

        An axis that keeps its voxels is smoothed too when ``smoothing`` asks for more than half a voxel.
        """
        block, matrices = [], []
        for axis, (positions, step) in enumerate(zip(self.positions, self.step, strict=True)):
            sigma = smoothing * float(step) if step > 1.0 or smoothing > 0.5 else 0.0
            margin = 3.0 * max(sigma, 0.5)
            first = max(0, int(np.floor(positions[0] - margin)))
            last = min(array.shape[axis], int(np.ceil(positions[-1] + margin)) + 1)
            block.append(slice(first, last))
            matrices.append(_kernel(positions, np.arange(first, last), sigma))
        values = np.asarray(array[tuple(block)], dtype=np.float32)
        # The axis that shrinks most comes first: less is left to do for the others.
        for axis in sorted(range(3), key=lambda a: matrices[a].shape[0] / matrices[a].shape[1]):
            values = np.moveaxis(np.tensordot(matrices[axis], values, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(values)

    def transfer(self, other: WorkingGrid, mask: BoolArray) -> BoolArray:
        """A mask of another grid, seen on this one (nearest sample; False beyond the other grid)."""
        picked, known = [], []
        for own, theirs, step in zip(self.positions, other.positions, other.step, strict=True):
            index = np.rint((own - theirs[0]) / step).astype(int)
            known.append((index >= 0) & (index < len(theirs)))
            picked.append(np.clip(index, 0, len(theirs) - 1))
        return np.asarray(mask[np.ix_(*picked)] & known[0][:, None, None] & known[1][:, None] & known[2])

    def block(self, shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
        """The voxels of the volume that lie between the grid's first and last sample, half a step more."""
        x, y, z = (
            slice(max(0, int(np.ceil(p[0] - s / 2))), min(n, int(np.floor(p[-1] + s / 2)) + 1))
            for p, s, n in zip(self.positions, self.step, shape, strict=True)
        )
        return x, y, z

    def upsample(self, values: npt.NDArray[Any], shape: tuple[int, int, int]) -> Float32Array:
        """Linear interpolation of values on the grid to the voxels of ``block(shape)``."""
        result = np.asarray(values, dtype=np.float32)
        for axis, (part, positions) in enumerate(zip(self.block(shape), self.positions, strict=True)):
            weights = np.stack(
                [np.interp(np.arange(part.start, part.stop), positions, row) for row in np.eye(len(positions))], axis=1
            ).astype(np.float32)
            result = np.moveaxis(np.tensordot(weights, result, axes=(1, axis)), 0, axis)
        return result


def _kernel(positions: FloatArray, voxels: npt.NDArray[np.int_], sigma: float) -> Float32Array:
    """Rows of normalised Gaussian weights; linear interpolation when ``sigma`` is 0."""
    distance = np.abs(positions[:, None] - voxels[None, :])
    weights = np.maximum(0.0, 1.0 - distance) if sigma == 0.0 else np.exp(-0.5 * (distance / sigma) ** 2)
    weights[distance > max(3.0 * sigma, 1.0)] = 0.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
