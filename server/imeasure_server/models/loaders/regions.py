"""The part of an image that a model looks at, and its answer put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.inference import ModelInputs, Point


@dataclass(frozen=True)
class Region:
    """A box of voxels: ``lower`` inside, ``upper`` outside."""

    lower: tuple[int, int, int]
    upper: tuple[int, int, int]

    def cut(self, volume: Volume, inputs: ModelInputs) -> tuple[Volume, ModelInputs]:
        """The part of the image, and the prompts in its voxel indices."""
        box = tuple(slice(low, high) for low, high in zip(self.lower, self.upper, strict=True))
        array = volume.array[box]
        part = Volume(array, volume.geometry.cropped(self.lower, (array.shape[0], array.shape[1], array.shape[2])))
        current = None if inputs.current_point is None else self._moved([inputs.current_point])[0]
        return part, replace(
            inputs,
            foreground=self._moved(inputs.foreground),
            background=self._moved(inputs.background),
            extreme_points=self._moved(inputs.extreme_points),
            current_point=current,
            label=None if inputs.label is None else inputs.label[box],
        )

    def put_back(self, values: npt.NDArray[Any], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
        """Labels of the part, in an image of that shape that is background elsewhere."""
        whole = np.zeros(shape, values.dtype)
        whole[tuple(slice(low, high) for low, high in zip(self.lower, self.upper, strict=True))] = values
        return whole

    def _moved(self, points: Iterable[Point]) -> tuple[Point, ...]:
        x, y, z = self.lower
        return tuple((point[0] - x, point[1] - y, point[2] - z) for point in points)


def box_region(lower: npt.ArrayLike, upper: npt.ArrayLike, margin: npt.ArrayLike, shape: tuple[int, ...]) -> Region:
    """The box from one voxel to another (both inside), with a margin in voxels, as far as the image goes."""
    low = np.maximum(np.floor(np.asarray(lower, float) - np.asarray(margin, float)), 0).astype(int)
    high = np.minimum(np.ceil(np.asarray(upper, float) + np.asarray(margin, float)) + 1, shape).astype(int)
    low = np.minimum(low, np.asarray(shape) - 1)
    high = np.maximum(high, low + 1)
    return Region((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))


def extreme_region(volume: Volume, inputs: ModelInputs, padding: float | None) -> Region | None:
    """The box around the extreme points of a DExtr3D request, with the model's padding in voxels around it.

    None where the model has no padding or the points were not sent: then it looks at the whole image, which the client
    may have cut out itself.
    """
    if padding is None or not inputs.extreme_points:
        return None
    points = np.asarray(inputs.extreme_points, dtype=float)
    return box_region(points.min(axis=0), points.max(axis=0), padding, volume.geometry.shape)
