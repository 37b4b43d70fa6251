"""All prompts that the SAM-style protocols know, checked and brought to voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.areas import Area, IndexArray, Shape, box_area, box_axis, box_block, lasso_area
from imeasure_server.segmentation.areas import line_voxels as voxels_of_line
from imeasure_server.segmentation.engine import (
    ConflictingPromptsError,
    EmptySegmentationError,
    OutsideVolumeError,
)
from imeasure_server.segmentation.extent import Block
from imeasure_server.segmentation.prompts import Box, Index, Point, voxel_of

Line = Sequence[Point]

NOTHING_SAID = "Nothing says where the object is: send at least one positive point, box, scribble or lasso."


@dataclass(frozen=True, eq=False)
class ObjectPrompts:
    """What a person said of one object, in continuous voxel indices; nothing is said of the order.

    Attributes:
        positive_points, negative_points: clicks.
        positive_boxes, negative_boxes: flat (on one slice) or not, both corners inside.
        positive_lassos, negative_lassos: closed lines, each on one slice.
        positive_scribbles, negative_scribbles: lines.
        previous: (x, y, z) bool mask to correct, or None.
    """

    positive_points: tuple[Point, ...] = ()
    negative_points: tuple[Point, ...] = ()
    positive_boxes: tuple[Box, ...] = ()
    negative_boxes: tuple[Box, ...] = ()
    positive_lassos: tuple[Line, ...] = ()
    negative_lassos: tuple[Line, ...] = ()
    positive_scribbles: tuple[Line, ...] = ()
    negative_scribbles: tuple[Line, ...] = ()
    previous: npt.NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class VoxelPrompts:
    """`ObjectPrompts` in voxels of a volume (or a block of it), contradictions settled.

    Clicks come before scribbles, scribbles before lassos and boxes.

    Attributes:
        positive, negative: clicked voxels.
        drawn, erased: (n, 3) voxels of scribbles.
        outlined: areas of positive lassos: all of them is the object's.
        boxed: flat positive boxes: the object fills them on their slices.
        blocks: positive boxes of several slices.
        removed: areas of negative lassos and flat negative boxes.
        removed_blocks: negative boxes of several slices.
        previous: (x, y, z) bool, or None when there is none or it is empty.
    """

    positive: tuple[Index, ...]
    negative: tuple[Index, ...]
    drawn: IndexArray
    erased: IndexArray
    outlined: tuple[Area, ...] = ()
    boxed: tuple[Area, ...] = ()
    blocks: tuple[Block, ...] = ()
    removed: tuple[Area, ...] = ()
    removed_blocks: tuple[Block, ...] = ()
    previous: BoolArray | None = field(default=None)

    @property
    def wanted(self) -> IndexArray:
        """(n, 3) corners and voxels of everything positive."""
        parts = [np.array(self.positive, dtype=np.int_).reshape(-1, 3), self.drawn]
        parts += [area.voxels for area in (*self.outlined, *self.boxed)]
        parts += [np.array([[s.start for s in b], [s.stop - 1 for s in b]], dtype=np.int_) for b in self.blocks]
        return np.concatenate(parts)


def in_voxels(prompts: ObjectPrompts, shape: Shape) -> VoxelPrompts:
    """Check prompts and bring them to voxels.

    Raises:
        OutsideVolumeError: a point is outside the image, or all of a box, a scribble or a lasso is.
        ConflictingPromptsError: prompts contradict each other.
        EmptySegmentationError: nothing says where the object is.
    """
    positive = tuple(dict.fromkeys(_voxel(point, shape) for point in prompts.positive_points))
    negative = tuple(dict.fromkeys(_voxel(point, shape) for point in prompts.negative_points))
    if set(positive) & set(negative):
        raise ConflictingPromptsError(
            "The same place is clicked both as part of the object and as not part of it: remove one of the two points."
        )
    for box in (*prompts.positive_boxes, *prompts.negative_boxes):
        if not np.isfinite([box.lower, box.upper]).all():
            raise OutsideVolumeError("A corner of a box is not three numbers: send x, y and z in voxels of the image.")
    drawn = _lines(prompts.positive_scribbles, shape)
    erased = _lines(prompts.negative_scribbles, shape)
    # Where lines of both kinds cross nothing is said; clicks are exact, lines are not.
    crossing = set(map(tuple, drawn.tolist())) & set(map(tuple, erased.tolist()))
    drawn = _without(drawn, crossing | set(negative))
    erased = _without(erased, crossing | set(positive))
    previous = None if prompts.previous is None else np.asarray(prompts.previous) > 0
    if previous is not None and previous.shape != shape:
        raise OutsideVolumeError("The label has another size than the image: send a label of the image's size.")
    result = VoxelPrompts(
        positive,
        negative,
        drawn,
        erased,
        tuple(_lasso(line, shape) for line in prompts.positive_lassos),
        tuple(_flat(box, shape) for box in prompts.positive_boxes if box_axis(box) is not None),
        tuple(_block(box, shape) for box in prompts.positive_boxes if box_axis(box) is None),
        tuple(_lasso(line, shape) for line in prompts.negative_lassos)
        + tuple(_flat(box, shape) for box in prompts.negative_boxes if box_axis(box) is not None),
        tuple(_block(box, shape) for box in prompts.negative_boxes if box_axis(box) is None),
        previous if previous is not None and previous.any() else None,
    )
    if not len(result.wanted) and result.previous is None:
        raise EmptySegmentationError(NOTHING_SAID)
    return result


def _voxel(point: Point, shape: Shape) -> Index:
    if not all(np.isfinite(value) for value in point):
        raise OutsideVolumeError("A point is not three numbers: send x, y and z in voxels of the image.")
    voxel = voxel_of(point)
    if any(not 0 <= v < n for v, n in zip(voxel, shape, strict=True)):
        raise OutsideVolumeError(
            f"The point {_said(point)} is outside the image, which has {_times(shape)} voxels: "
            "send x, y and z as voxel indices that start at 0."
        )
    return voxel


def _lines(lines: Sequence[Line], shape: Shape) -> IndexArray:
    parts = [np.zeros((0, 3), dtype=np.int_)]
    for line in lines:
        _check_numbers(line, "scribble")
        voxels = voxels_of_line(line, shape)
        if not len(voxels):
            raise OutsideVolumeError(f"A scribble is outside the image, which has {_times(shape)} voxels.")
        parts.append(voxels)
    return np.unique(np.concatenate(parts), axis=0).reshape(-1, 3)


def _lasso(line: Line, shape: Shape) -> Area:
    _check_numbers(line, "lasso")
    area = lasso_area(line, shape)
    if area is None:
        raise OutsideVolumeError("A lasso lies on no slice of the image: draw each one on a single slice.")
    if not area.inside.any():
        raise OutsideVolumeError(f"A lasso is outside the image, which has {_times(shape)} voxels.")
    return area


def _flat(box: Box, shape: Shape) -> Area:
    _block(box, shape)
    return box_area(box, box_axis(box) or 0, shape)


def _block(box: Box, shape: Shape) -> Block:
    block = box_block(box, shape)
    if any(part.stop <= part.start for part in block):
        raise OutsideVolumeError(f"A box is outside the image, which has {_times(shape)} voxels.")
    return block


def _check_numbers(line: Line, name: str) -> None:
    if not len(line) or not np.isfinite(np.asarray(line, dtype=np.float64)).all():
        raise OutsideVolumeError(f"A {name} has points that are not three numbers: send x, y and z in voxels.")


def _without(voxels: IndexArray, taken: set[Any]) -> IndexArray:
    kept = [voxel for voxel in voxels.tolist() if tuple(voxel) not in taken]
    return np.array(kept, dtype=np.int_).reshape(-1, 3)


def _said(point: Point) -> str:
    return "(" + ", ".join(f"{value:g}" for value in point) + ")"


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def cropped(prompts: VoxelPrompts, block: Block) -> VoxelPrompts:
    """The prompts in a block of the volume, in voxels of the block; those outside it are left out."""
    lower, upper = np.array([part.start for part in block]), np.array([part.stop for part in block])

    def voxels(places: IndexArray) -> IndexArray:
        inside = ((places >= lower) & (places < upper)).all(axis=1)
        return np.asarray(places[inside] - lower).reshape(-1, 3)

    def clicks(places: tuple[Index, ...]) -> tuple[Index, ...]:
        return tuple((int(x), int(y), int(z)) for x, y, z in voxels(np.array(places, dtype=np.int_).reshape(-1, 3)))

    def areas(found: tuple[Area, ...]) -> tuple[Area, ...]:
        return tuple(area for area in (one.cropped(block) for one in found) if area is not None)

    def blocks(found: tuple[Block, ...]) -> tuple[Block, ...]:
        moved = (
            tuple(
                slice(max(a.start - b.start, 0), min(a.stop, b.stop) - b.start) for a, b in zip(one, block, strict=True)
            )
            for one in found
        )
        return tuple((x, y, z) for x, y, z in moved if all(part.stop > part.start for part in (x, y, z)))

    return VoxelPrompts(
        clicks(prompts.positive),
        clicks(prompts.negative),
        voxels(prompts.drawn),
        voxels(prompts.erased),
        areas(prompts.outlined),
        areas(prompts.boxed),
        blocks(prompts.blocks),
        areas(prompts.removed),
        blocks(prompts.removed_blocks),
        None if prompts.previous is None else prompts.previous[block],
    )


def swapped(prompts: VoxelPrompts, axis: int) -> VoxelPrompts:
    """The prompts of the volume whose axes ``axis`` and z are swapped."""
    order = [0, 1, 2]
    order[axis], order[2] = 2, axis

    def area(one: Area) -> Area:
        others = [order[a] for a in range(3) if a != one.axis]
        return Area(order[one.axis], one.index, one.inside if others[0] < others[1] else one.inside.T)

    def click(one: Index) -> Index:
        return one[order[0]], one[order[1]], one[order[2]]

    def block(one: Block) -> Block:
        return one[order[0]], one[order[1]], one[order[2]]

    return VoxelPrompts(
        tuple(map(click, prompts.positive)),
        tuple(map(click, prompts.negative)),
        prompts.drawn[:, order],
        prompts.erased[:, order],
        tuple(map(area, prompts.outlined)),
        tuple(map(area, prompts.boxed)),
        tuple(map(block, prompts.blocks)),
        tuple(map(area, prompts.removed)),
        tuple(map(block, prompts.removed_blocks)),
        None if prompts.previous is None else prompts.previous.swapaxes(axis, 2),
    )
