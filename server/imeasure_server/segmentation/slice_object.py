"""An object on one slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.segmentation.areas import Area
from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import Cancellation
from imeasure_server.segmentation.prompts import Box, Index, PointPrompt, Prompts

ROOM = 1.0  # of a box, around it


def slice_of(volume: Volume, axis: int, index: int) -> Volume:
    """One slice across ``axis``, as a volume (a, b, 1) whose first axes are the other two in their order."""
    order = [a for a in range(3) if a != axis] + [axis]
    array = np.take(volume.array, [index], axis=axis).transpose(order)
    start = np.zeros(3)
    start[axis] = index
    affine = np.array(volume.geometry.affine)
    affine[:3, 3] = volume.geometry.to_world(start)
    affine[:, :3] = affine[:, order]
    return Volume(array, Geometry(affine, (array.shape[0], array.shape[1], 1)))


def fill_box(
    volume: Volume,
    box: Area,
    positive: Iterable[Index],
    negative: Iterable[Index],
    cancellation: Cancellation | None = None,
) -> Area:
    """The object that a flat box is drawn around, on the box's slice.

    Args:
        volume: any image.
        box: the box's voxels.
        positive, negative: clicked voxels of the volume; those on the slice count.
        cancellation: looked at between stages.

    Raises:
        EmptySegmentationError: there is none.
    """
    found = np.argwhere(box.inside)
    lower, upper = found.min(axis=0), found.max(axis=0)
    room = np.ceil((upper - lower + 1) * ROOM).astype(int) + 4
    start, stop = np.maximum(lower - room, 0), np.minimum(upper + room + 1, box.inside.shape)
    plane = [axis for axis in range(3) if axis != box.axis]
    points = [
        PointPrompt((float(x), float(y), 0.0), wanted)
        for wanted, voxels in ((True, positive), (False, negative))
        for x, y in (np.array(v)[plane] - start for v in voxels if v[box.axis] == box.index)
        if 0 <= x < stop[0] - start[0] and 0 <= y < stop[1] - start[1]
    ]
    first, last = (lower - start).astype(float), (upper - start).astype(float)
    corners = Box((float(first[0]), float(first[1]), 0.0), (float(last[0]), float(last[1]), 0.0))
    whole = slice_of(volume, box.axis, box.index)
    block = whole.array[start[0] : stop[0], start[1] : stop[1]]
    shape = (block.shape[0], block.shape[1], 1)
    piece = Volume(block, whole.geometry.cropped((*start, 0), shape))
    mask = GraphCutEngine().segment(piece, Prompts(tuple(points), box=corners), cancellation)
    inside = np.zeros_like(box.inside)
    inside[start[0] : stop[0], start[1] : stop[1]] = mask[:, :, 0]
    return Area(box.axis, box.index, inside)
