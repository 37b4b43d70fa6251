"""One click does not say how big the object is: cubes of several sizes around it are looked at, and weighed.

Every cube gives a belief about the space that it covers. The beliefs are brought to one grid whose cells grow with
the distance from the click, so that an object of any size covers about as many of them; there each cube's mask is
judged by the Dice that it can expect if the mean belief of all cubes is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imeasure_server.imaging.volume import FloatArray
from imeasure_server.segmentation.network.cube import Cube, Float32Array, interpolation

HALF_CELLS = 24  # of the grid, on each side of the click along each axis
FINEST = 1.0  # mm, of the cells at the click


@dataclass(frozen=True, eq=False)
class ClickGrid:
    """Places around a click, closer together near it.

    Attributes:
        offsets: (n,) mm from the click, the same along every axis.
        weights: (n,) mm, the room that each place stands for.
    """

    offsets: FloatArray
    weights: FloatArray

    @classmethod
    def reaching(cls, reach: float) -> ClickGrid:
        """Up to ``reach`` mm from the click along each axis: about evenly near it, then ever coarser."""
        places = np.arange(-HALF_CELLS, HALF_CELLS + 1, dtype=np.float64)
        low, high = 1e-3, 1.0
        for _ in range(60):  # the growth at which the last place is at ``reach``
            growth = (low + high) / 2
            if FINEST / growth * np.sinh(growth * HALF_CELLS) < reach:
                low = growth
            else:
                high = growth
        offsets = FINEST / growth * np.sinh(growth * places)
        return cls(offsets, np.gradient(offsets))

    def belief(self, cube: Cube, likely: Float32Array) -> Float32Array:
        """(n, n, n) values of a cube around the click, NaN beyond it.

        Args:
            cube: with the click in its middle.
            likely: (side, side, side) probabilities.
        """
        index = self.offsets / cube.cell + (cube.side - 1) / 2
        matrix = interpolation(np.clip(index, 0, cube.side - 1), cube.side)
        values = np.einsum("ai,bj,ck,ijk->abc", matrix, matrix, matrix, likely, optimize=True)
        beyond = np.abs(self.offsets) > cube.extent / 2
        values[beyond] = np.nan
        values[:, beyond] = np.nan
        values[:, :, beyond] = np.nan
        return np.asarray(values, dtype=np.float32)

    def room(self, cube: Cube) -> Float32Array:
        """(n, n, n) mm³ of each place, 0 beyond the volume that the cube belongs to."""
        axes = []
        for axis in range(3):
            index = cube.centre[axis] + self.offsets / cube.voxel_spacing[axis]
            within = (index > -0.5) & (index < cube.shape[axis] - 0.5)
            axes.append(self.weights * within)
        return np.asarray(axes[0][:, None, None] * axes[1][:, None] * axes[2], dtype=np.float32)


def weigh(cubes: list[Cube], likely: list[Float32Array]) -> tuple[int, Float32Array]:
    """Which cube's answer to believe.

    Args:
        cubes: around one click, smallest first.
        likely: (side, side, side) probabilities on each.

    Returns:
        The index of the cube, and the Dice that each cube's mask can expect.
    """
    grid = ClickGrid.reaching(cubes[-1].extent / 2)
    beliefs = np.stack([grid.belief(cube, values) for cube, values in zip(cubes, likely, strict=True)])
    room = grid.room(cubes[0])
    known = np.isfinite(beliefs)
    share = known / np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, beliefs, 0.0)
    mean = (mean * share).sum(axis=0) * room
    masks = np.where(known, beliefs, 0.0) > 0.5
    expected = [
        2.0 * float(mean[mask].sum()) / max(float(room[mask].sum()) + float(mean.sum()), 1e-9) for mask in masks
    ]
    scores = np.asarray(expected, dtype=np.float32)
    return int(scores.argmax()), scores
