"""Prompts that cover many voxels, as voxels: scribbles, lassos and boxes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.extent import Block
from imeasure_server.segmentation.prompts import Box, Index, Stroke, voxel_of
from imeasure_server.segmentation.strokes import enclosed_region

IndexArray = npt.NDArray[np.int_]
FLAT = 0.5  # voxels off one slice that a line drawn on that slice may be
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Area:
    """A part of one slice across one of the volume's axes.

    Attributes:
        axis: across the slice.
        index: of the slice.
        inside: (a, b) bool over the whole slice, the other two axes in their order.
    """

    axis: int
    index: int
    inside: BoolArray

    @property
    def voxels(self) -> IndexArray:
        """(n, 3)."""
        return np.insert(np.argwhere(self.inside), self.axis, self.index, axis=1)

    def on(self, mask: BoolArray) -> BoolArray:
        """The mask's slice, a view of it."""
        result: BoolArray = np.moveaxis(mask, self.axis, 0)[self.index]
        return result

    def cropped(self, block: Block) -> Area | None:
        """The part in a block of the volume, in voxels of the block; None when there is none."""
        plane = [part for axis, part in enumerate(block) if axis != self.axis]
        inside = self.inside[tuple(plane)]
        here = block[self.axis]
        if not here.start <= self.index < here.stop or not inside.any():
            return None
        return Area(self.axis, self.index - here.start, inside)

    def strokes(self, order: int = 0) -> tuple[Stroke, ...]:
        """Contours along its border voxels, each enclosing one part of it. Only of an area across z."""
        image = np.ascontiguousarray(self.inside.T.astype(np.uint8))
        contours, _ = cv2.findContours(image, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        result = []
        for contour in contours:
            points = contour[:, 0, :].astype(np.float64)
            points = np.vstack([points, points[-1:], points[-1:]]) if len(points) < 3 else points
            result.append(Stroke(np.column_stack([points, np.full(len(points), float(self.index))]), order))
        return tuple(result)


def line_voxels(points: Sequence[tuple[float, float, float]], shape: Shape) -> IndexArray:
    """The voxels that a line through continuous voxel indices passes, those outside the volume left out.

    Returns:
        (n, 3), without repetition, n = 0 when the line is outside.
    """
    path = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    pieces = [path[:1]]
    for start, end in itertools.pairwise(path):
        count = int(np.ceil(float(np.abs(end - start).max()) * 2)) + 1  # no voxel is stepped over
        pieces.append(start + (end - start) * np.linspace(0, 1, count + 1)[1:, None])
    voxels = np.floor(np.concatenate(pieces) + 0.5).astype(np.int_)
    inside = ((voxels >= 0) & (voxels < np.array(shape))).all(axis=1)
    return np.unique(voxels[inside], axis=0).reshape(-1, 3)


def flat_axis(points: FloatArray) -> int | None:
    """The axis across the slice that a closed line lies on; None when it lies on none.

    A line of all points on one row and one slice is on a slice across z if it can be.
    """
    extents = np.ptp(points, axis=0)
    for axis in (2, 1, 0):
        if extents[axis] <= FLAT:
            return axis
    return None


def lasso_area(points: Sequence[tuple[float, float, float]], shape: Shape) -> Area | None:
    """What a closed line on one slice encloses; None when the line is on no slice of the volume.

    An area outside the volume is empty.
    """
    path = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    axis = flat_axis(path)
    if axis is None:
        return None
    others = [a for a in range(3) if a != axis]
    index = int(np.floor(float(path[:, axis].mean()) + 0.5))
    plane = (shape[others[0]], shape[others[1]], 1)
    if not 0 <= index < shape[axis]:
        return Area(axis, max(0, min(index, shape[axis] - 1)), np.zeros(plane[:2], dtype=bool))
    flat = np.column_stack([path[:, others], np.zeros(len(path))])
    return Area(axis, index, enclosed_region(Stroke(flat), plane))


def box_block(box: Box, shape: Shape) -> Block:
    """The voxels of a box that the volume has; empty slices when it has none."""
    lower, upper = voxel_of(box.lower), voxel_of(box.upper)
    x, y, z = (
        slice(min(max(lo, 0), n), max(min(up + 1, n), min(max(lo, 0), n)))
        for lo, up, n in zip(lower, upper, shape, strict=True)
    )
    return x, y, z


def box_axis(box: Box) -> int | None:
    """The axis across the slice that a box lies on; None for a box of several slices."""
    lower, upper = voxel_of(box.lower), voxel_of(box.upper)
    for axis in (2, 1, 0):
        if lower[axis] == upper[axis]:
            return axis
    return None


def box_area(box: Box, axis: int, shape: Shape) -> Area:
    """A flat box as an area."""
    block = box_block(box, shape)
    index = min(max(voxel_of(box.lower)[axis], 0), shape[axis] - 1)
    inside = np.zeros(tuple(n for a, n in enumerate(shape) if a != axis), dtype=bool)
    if block[axis].stop > block[axis].start:
        inside[tuple(part for a, part in enumerate(block) if a != axis)] = True
    return Area(axis, index, inside)


def spread_out(voxels: IndexArray, count: int, spacing: FloatArray) -> list[Index]:
    """At most ``count`` of the voxels, as far from each other as can be (farthest point sampling), the middle first."""
    if not len(voxels):
        return []
    places = voxels * spacing
    chosen = [int(((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    away = ((places - places[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(voxels)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
    return [(int(x), int(y), int(z)) for x, y, z in voxels[chosen]]
