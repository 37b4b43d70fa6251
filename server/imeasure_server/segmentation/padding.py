"""Padding of a crop that the end of the scan cut short, and cutting it off again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationEngine
from imeasure_server.segmentation.prompts import Box, Point, Prompts


@dataclass(frozen=True)
class Padding:
    """Voxels added before the first and after the last voxel along x, y and z."""

    before: tuple[int, int, int] = (0, 0, 0)
    after: tuple[int, int, int] = (0, 0, 0)

    def __bool__(self) -> bool:
        return any(self.before) or any(self.after)

    def apply(self, volume: Volume) -> Volume:
        """The volume with its border voxels repeated outwards.

        Repeating invents no edge where the scan ends, as air would: a lesion that the last slice cuts looks as if it
        went on.
        """
        array = np.pad(volume.array, tuple(zip(self.before, self.after, strict=True)), mode="edge")
        shape = (array.shape[0], array.shape[1], array.shape[2])
        return Volume(array, volume.geometry.cropped(-np.array(self.before), shape))

    def shift(self, prompts: Prompts) -> Prompts:
        """The same prompts in voxels of the padded volume; the previous mask gets background around it."""
        previous = prompts.previous_mask
        if previous is not None:
            previous = np.pad(previous, tuple(zip(self.before, self.after, strict=True)))
        box = prompts.box
        return Prompts(
            tuple(replace(point, position=self._moved(point.position)) for point in prompts.points),
            tuple(
                replace(pair, first=self._moved(pair.first), second=self._moved(pair.second))
                for pair in prompts.extreme_pairs
            ),
            tuple(replace(stroke, points=stroke.points + np.array(self.before)) for stroke in prompts.strokes),
            None if box is None else Box(self._moved(box.lower), self._moved(box.upper)),
            previous,
        )

    def remove(self, mask: BoolArray) -> BoolArray:
        """The part of a padded mask that lies in the original volume."""
        return mask[
            tuple(slice(low, size - high) for low, high, size in zip(self.before, self.after, mask.shape, strict=True))
        ]

    def _moved(self, point: Point) -> Point:
        x, y, z = (value + low for value, low in zip(point, self.before, strict=True))
        return x, y, z


def segment_padded(
    engine: SegmentationEngine,
    volume: Volume,
    prompts: Prompts,
    padding: Padding,
    cancellation: Cancellation | None = None,
) -> BoolArray:
    """Segment with the crop padded to what the client asked for.

    Returns:
        (x, y, z) bool of ``volume``'s shape.

    Raises:
        EmptySegmentationError: nothing can be segmented, or nothing of it lies in the volume itself.
        SegmentationError: of the engine.
    """
    if padding:
        mask = padding.remove(engine.segment(padding.apply(volume), padding.shift(prompts), cancellation))
    else:
        mask = engine.segment(volume, prompts, cancellation)
    if not mask.any():
        raise EmptySegmentationError("Nothing can be segmented from these prompts.")
    return mask
