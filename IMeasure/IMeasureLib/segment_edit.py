"""How effects of the Segment Editor write a mask into a segment: through its masking, undo and mode of overwriting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer

from .crop_region import MaskRegion
from .volume_access import labelmapFor

EMPTY = MaskRegion(np.zeros((0, 0, 0), dtype=bool), (0, 0, 0))
"""A mask without voxels."""


class SegmentEdit:
    """Writes masks into segments. Editable area, intensity range and the mode of overwriting are the Segment Editor's.

    Args:
        scriptedEffect: the qSlicerSegmentEditorScriptedEffect.
    """

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect

    def change(
        self,
        present: MaskRegion,
        wanted: MaskRegion,
        segmentationNode: Any,
        segmentId: str,
        volumeNode: Any,
        keepOthers: bool,
    ) -> None:
        """Make a segment that is ``present`` what is ``wanted``, where masking lets it; saves no state for undo.

        Args:
            present, wanted: on the grid of the volume.
            keepOthers: other segments keep their voxels, whatever the Segment Editor's setting says about overwriting.
        """
        added, removed = differences(present, wanted)
        with self._overwriting(keepOthers):
            for region, mode in ((removed, "Remove"), (added, "Add")):
                if not region.isEmpty:
                    self._modify(segmentationNode, segmentId, region, volumeNode, mode)

    def _modify(self, segmentationNode: Any, segmentId: str, region: MaskRegion, volumeNode: Any, mode: str) -> None:
        labelmap = labelmapFor(region, volumeNode, segmentationNode)
        modes = slicer.qSlicerSegmentEditorAbstractEffect
        self._effect.modifySegmentByLabelmap(
            segmentationNode,
            segmentId,
            labelmap,
            modes.ModificationModeAdd if mode == "Add" else modes.ModificationModeRemove,
        )

    @contextmanager
    def _overwriting(self, keepOthers: bool) -> Iterator[None]:
        """Let segments overlap for a moment, so that what is added is taken from none."""
        node = self._effect.parameterSetNode()
        mode = node.GetOverwriteMode()
        wasModifying = node.StartModify()
        if keepOthers:
            node.SetOverwriteMode(node.OverwriteNone)
        try:
            yield
        finally:
            node.SetOverwriteMode(mode)
            node.EndModify(wasModifying)


def union(first: MaskRegion, second: MaskRegion) -> MaskRegion:
    """Voxels of either."""
    if first.isEmpty or second.isEmpty:
        return second if first.isEmpty else first
    origin, size = _boxOfBoth(first, second)
    return MaskRegion(first.onBox(origin, size) | second.onBox(origin, size), origin)


def differences(present: MaskRegion, wanted: MaskRegion) -> tuple[MaskRegion, MaskRegion]:
    """(to add, to remove) on the box that holds both masks."""
    origin, size = _boxOfBoth(present, wanted)
    before, after = present.onBox(origin, size), wanted.onBox(origin, size)
    return MaskRegion(after & ~before, origin), MaskRegion(before & ~after, origin)


def without(mask: MaskRegion, other: MaskRegion) -> MaskRegion:
    """Voxels of a mask that are not in the other."""
    return differences(other, mask)[0]


def sameMask(first: MaskRegion, second: MaskRegion) -> bool:
    """Whether two regions hold the same voxels, whatever their boxes."""
    added, removed = differences(first, second)
    return added.isEmpty and removed.isEmpty


def _boxOfBoth(first: MaskRegion, second: MaskRegion) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(origin, size), i, j, k, of the smallest box that holds both."""
    regions = [region for region in (first, second) if not region.isEmpty]
    if not regions:
        return (0, 0, 0), (0, 0, 0)
    lower = np.min([region.origin for region in regions], axis=0)
    upper = np.max([np.add(region.origin, region.size) for region in regions], axis=0)
    size = upper - lower
    return (int(lower[0]), int(lower[1]), int(lower[2])), (int(size[0]), int(size[1]), int(size[2]))
