"""What a segment becomes by an answer: what a person painted stays, what an earlier answer gave follows the newer."""

from __future__ import annotations

import numpy as np

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.segment_edit import EMPTY, sameMask, union, without


class Merge:
    """An answer of a model that does not know the voxels that were there before, and the segment that it is for.

    Attributes:
        painted: voxels of the segment that no answer gave it.
        erased: voxels of the earlier answer that were taken out by hand since.
        wanted: what the segment shall be.
    """

    def __init__(self, present: MaskRegion, made: MaskRegion, answer: MaskRegion, erasedStays: bool = True) -> None:
        """Compare.

        Args:
            present: the segment now.
            made: what the earlier answer gave it.
            answer: the newer one, instead of the earlier.
            erasedStays: what was erased by hand does not come back. False after a newer positive prompt in it.
        """
        self.painted = without(present, made)
        self.erased = without(made, present) if erasedStays else EMPTY
        self._answer = answer
        self.wanted = union(self.painted, without(answer, self.erased))

    def made(self, written: MaskRegion) -> MaskRegion:
        """The part of the segment that is the model's, given what masking and the segmentation's grid made of it."""
        stillErased = without(self.erased, without(self.erased, self._answer))
        return union(without(written, self.painted), stillErased)


def onSlices(mask: MaskRegion, slices: set[int]) -> MaskRegion:
    """The part of a mask on some of the volume's slices (k)."""
    array = mask.array.copy()
    keep = np.zeros(array.shape[0], dtype=bool)
    for k in slices:
        if 0 <= k - mask.origin[2] < len(keep):
            keep[k - mask.origin[2]] = True
    array[~keep] = False
    return MaskRegion(array, mask.origin)


def replacedOnSlices(made: MaskRegion, answer: MaskRegion, slices: set[int]) -> MaskRegion:
    """An earlier answer, with that of a model for single slices instead of it on those slices."""
    return union(without(made, onSlices(made, slices)), onSlices(answer, slices))


def isUntouched(present: MaskRegion, made: MaskRegion) -> bool:
    """Whether a segment is just what the last answer made it."""
    return not made.isEmpty and sameMask(present, made)
