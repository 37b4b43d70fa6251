"""What a person said about the object to segment, in one value that all protocols of the server build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imeasure_server.imaging.volume import BoolArray, FloatArray

Point = tuple[float, float, float]
Index = tuple[int, int, int]


def voxel_of(point: Point) -> Index:
    """The voxel that holds a continuous index; a point on a face belongs to the higher voxel."""
    x, y, z = (int(np.floor(value + 0.5)) for value in point)
    return x, y, z


@dataclass(frozen=True)
class PointPrompt:
    """One click.

    Attributes:
        position: continuous voxel index.
        positive: True: the object is here. False: it is not.
        order: place in the interaction history, 0 first.
    """

    position: Point
    positive: bool
    order: int = 0

    @property
    def voxel(self) -> Index:
        return voxel_of(self.position)


@dataclass(frozen=True)
class ExtremePair:
    """The two ends of the object's longest diameter, roughly, usually on one slice (continuous voxel indices)."""

    first: Point
    second: Point
    order: int = 0

    @property
    def voxels(self) -> tuple[Index, Index]:
        return voxel_of(self.first), voxel_of(self.second)


@dataclass(frozen=True, eq=False)
class Stroke:
    """A pen contour on one slice (z): the object covers what the closed contour encloses there.

    Attributes:
        points: (n, 3), n >= 3, continuous voxel indices with the same rounded z.
        order: place in the interaction history, 0 first.
    """

    points: FloatArray
    order: int = 0

    @property
    def slice_index(self) -> int:
        return int(np.floor(float(self.points[:, 2].mean()) + 0.5))


@dataclass(frozen=True)
class Box:
    """A box around the object, both corners inside it (continuous voxel indices, lower <= upper)."""

    lower: Point
    upper: Point


@dataclass(frozen=True, eq=False)
class Prompts:
    """All prompts of one request, in continuous voxel coordinates of the volume they belong to.

    Attributes:
        points: clicks, oldest first.
        extreme_pairs: pairs of extreme points, oldest first.
        strokes: pen contours, oldest first.
        box: a box around the object, if any.
        previous_mask: (x, y, z) bool, the mask to refine, or None when the object is new.
    """

    points: tuple[PointPrompt, ...] = ()
    extreme_pairs: tuple[ExtremePair, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    box: Box | None = None
    previous_mask: BoolArray | None = None

    @property
    def positive_voxels(self) -> tuple[Index, ...]:
        """Voxels that must be inside the mask: positive clicks and extreme points."""
        clicks = tuple(point.voxel for point in self.points if point.positive)
        return clicks + tuple(voxel for pair in self.extreme_pairs for voxel in pair.voxels)

    @property
    def negative_voxels(self) -> tuple[Index, ...]:
        """Voxels that must be outside the mask."""
        return tuple(point.voxel for point in self.points if not point.positive)

    @property
    def is_empty(self) -> bool:
        """True when nothing says where the object is (negative clicks alone do not)."""
        return not (self.positive_voxels or self.strokes or self.box) and (
            self.previous_mask is None or not self.previous_mask.any()
        )
