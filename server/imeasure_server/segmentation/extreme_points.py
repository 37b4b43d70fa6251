"""DExtr3D: an object from six or more points on its boundary.

The points span a box around the object, which is what the engines take. As Maninis et al., "Deep Extreme Cut"
(CVPR 2018), a point is where the object ends in some direction: nothing lies beyond the box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.binding import bind
from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationEngine
from imeasure_server.segmentation.focus import Focus
from imeasure_server.segmentation.object_prompts import ObjectPrompts, in_voxels
from imeasure_server.segmentation.prompts import Box, PointPrompt, Prompts
from imeasure_server.segmentation.suited_engine import suited

LEAST_POINTS = 6
LOOSE = 1  # voxels that an object may reach beyond its points: clients round them when they crop and resample
ROOM = 0.75  # of the box's longest edge, around it
NOTHING_BETWEEN = "No object was found between these points: put them on its boundary."
FEW_POINTS = (
    "At least six points on the boundary of the object are needed, at its left, right, front, back, top and bottom: "
    "{count} came."
)


def segment_between(
    engine: SegmentationEngine,
    volume: Volume,
    points: Sequence[tuple[float, float, float]],
    cancellation: Cancellation | None = None,
) -> BoolArray:
    """Segment the object whose boundary the points are on.

    Args:
        engine: of the server.
        volume: the image, or the part of it around the points.
        points: six or more, continuous voxel indices.
        cancellation: looked at between stages.

    Returns:
        (x, y, z) bool of the volume's shape; every point lies inside.

    Raises:
        SegmentationError: there are too few points, or one is outside; nothing was found.
    """
    if len(points) < LEAST_POINTS:
        raise EmptySegmentationError(FEW_POINTS.format(count=len(points)))
    shape, spacing = volume.geometry.shape, volume.geometry.spacing
    voxels = np.array(in_voxels(ObjectPrompts(positive_points=tuple(points)), shape).positive)
    lower, upper = voxels.min(axis=0), voxels.max(axis=0)
    longest = float(((upper - lower + 1) * spacing).max())
    focus = Focus.around(voxels, max(ROOM * longest, 10.0), spacing, shape)
    part, moved = focus.crop(volume), voxels - focus.origin
    first, last = (lower - focus.origin).astype(float), (upper - focus.origin).astype(float)
    box = Box((first[0], first[1], first[2]), (last[0], last[1], last[2]))
    mask = _in_box(suited(engine, volume), part, box, cancellation)
    loose = np.zeros_like(mask)
    loose[tuple(slice(max(0, int(a) - LOOSE), int(b) + LOOSE + 1) for a, b in zip(first, last, strict=True))] = True
    clicks = tuple(PointPrompt((float(x), float(y), float(z)), True, i) for i, (x, y, z) in enumerate(moved))
    mask = bind(mask & loose, Prompts(clicks, box=box), spacing)
    result = np.zeros(shape, dtype=bool)
    result[focus.block] = mask
    return result


def _in_box(engine: SegmentationEngine, volume: Volume, box: Box, cancellation: Cancellation | None) -> BoolArray:
    """The object in a box, as the engine or else the classical one sees it.

    Raises:
        EmptySegmentationError: neither sees one.
    """
    try:
        return engine.segment(volume, Prompts(box=box), cancellation)
    except EmptySegmentationError:
        if engine.name == GraphCutEngine.name:
            raise EmptySegmentationError(NOTHING_BETWEEN) from None
    return _in_box(GraphCutEngine(engine.device), volume, box, cancellation)
