"""Deepgrow on one slice: the object of one slice, from the clicks on it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.binding import CONNECTED
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationEngine
from imeasure_server.segmentation.object_prompts import ObjectPrompts, in_voxels
from imeasure_server.segmentation.promptable import segment_object
from imeasure_server.segmentation.prompts import Point

SLAB = 20.0  # mm on either side that help to see what the slice shows


def segment_on_slice(
    engine: SegmentationEngine,
    volume: Volume,
    positive: tuple[Point, ...],
    negative: tuple[Point, ...],
    index: int | None = None,
    cancellation: Cancellation | None = None,
) -> BoolArray:
    """Segment the object on one slice across z.

    Args:
        engine: of the server.
        volume: the image.
        positive, negative: clicks anywhere, continuous voxel indices; those on other slices say nothing.
        index: of the slice; None for that of the last positive click.
        cancellation: looked at between stages.

    Returns:
        (x, y, z) bool of the volume's shape, empty but for the slice.

    Raises:
        SegmentationError: there is no positive click on the slice, or no object.
    """
    shape = volume.geometry.shape
    voxels = in_voxels(ObjectPrompts(positive, negative), shape)
    index = voxels.positive[-1][2] if index is None and voxels.positive else index
    if index is None or not 0 <= index < shape[2] or not any(z == index for _, _, z in voxels.positive):
        raise EmptySegmentationError(
            "No positive point is on the slice: send one on it, since this model looks at one slice only."
        )
    reach = int(np.ceil(SLAB / volume.geometry.spacing[2]))
    first, last = max(0, index - reach), min(shape[2], index + reach + 1)
    slab = Volume(
        volume.array[:, :, first:last], volume.geometry.cropped((0, 0, first), (shape[0], shape[1], last - first))
    )
    here = ObjectPrompts(
        tuple((float(x), float(y), float(z - first)) for x, y, z in voxels.positive if z == index),
        tuple((float(x), float(y), float(z - first)) for x, y, z in voxels.negative if z == index),
    )
    result = np.zeros(shape, dtype=bool)
    mask = segment_object(engine, slab, here, cancellation)[:, :, index - first]
    labels, _ = ndimage.label(mask, structure=CONNECTED[1])
    clicked = [int(labels[x, y]) for x, y, z in voxels.positive if z == index]
    result[:, :, index] = np.isin(labels, clicked)
    return result
