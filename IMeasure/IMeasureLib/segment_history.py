"""Undo and redo of what IMeasure does to segmentations: masks, names, colours, tags and the lines that follow them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import slicer

from .finding_nodes import syncSegmentation
from .volume_access import segmentLabelmap, writeLabelmap

LIMIT = 20
"""Changes that are kept."""


@dataclass(frozen=True)
class SegmentState:
    """One segment at one time: its data without voxels, and its voxels as a labelmap in the segmentation's space."""

    index: int
    segment: Any
    labelmap: Any
    visible: bool


Snapshot = dict[str, Optional[SegmentState]]
"""Segment id → its state; None where there is no such segment."""


@dataclass(frozen=True)
class Change:
    """The segments of a segmentation that a change concerned, before and after it."""

    segmentationNode: Any
    before: Snapshot
    after: Snapshot


class SegmentHistory:
    """A stack of changes. Segments that a change did not concern are left alone by its undo."""

    def __init__(self) -> None:
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def canUndo(self) -> bool:
        return any(change.segmentationNode.GetScene() is not None for change in self._done)

    @property
    def canRedo(self) -> bool:
        return any(change.segmentationNode.GetScene() is not None for change in self._undone)

    def clear(self) -> None:
        """Forget all changes (the scene was closed)."""
        self._done, self._undone = [], []

    def snapshot(self, segmentationNode: Any, segmentIds: Iterable[str]) -> Snapshot:
        """Some segments as they are now; voxels are copied."""
        return {segmentId: _state(segmentationNode, segmentId) for segmentId in segmentIds}

    def push(self, segmentationNode: Any, before: Snapshot) -> None:
        """Remember a change that was just made to the segments of ``before``."""
        self._done.append(Change(segmentationNode, before, self.snapshot(segmentationNode, before)))
        del self._done[:-LIMIT]
        self._undone = []

    def undo(self) -> bool:
        """Take back the last change; False when there is none."""
        change = _last(self._done)
        if change is None:
            return False
        self.restore(change.segmentationNode, change.before)
        self._undone.append(change)
        return True

    def redo(self) -> bool:
        """Make the change again that was taken back last; False when there is none."""
        change = _last(self._undone)
        if change is None:
            return False
        self.restore(change.segmentationNode, change.after)
        self._done.append(change)
        return True

    def restore(self, segmentationNode: Any, snapshot: Snapshot) -> None:
        """Make segments what they were: removed ones return to their place, new ones go."""
        segmentation = segmentationNode.GetSegmentation()
        for segmentId, state in snapshot.items():
            if state is None:
                segmentation.RemoveSegment(segmentId)
                continue
            if segmentation.GetSegment(segmentId) is None:
                segmentation.AddEmptySegment(segmentId)
                segmentation.SetSegmentIndex(segmentId, min(state.index, segmentation.GetNumberOfSegments() - 1))
            segment = segmentation.GetSegment(segmentId)
            label = segment.GetLabelValue()
            segment.DeepCopyMetadata(state.segment)
            segment.SetLabelValue(label)
            writeLabelmap(state.labelmap, segmentationNode, segmentId)
            if segmentationNode.GetDisplayNode() is not None:
                segmentationNode.GetDisplayNode().SetSegmentVisibility(segmentId, state.visible)
        syncSegmentation(segmentationNode)


def _state(segmentationNode: Any, segmentId: str) -> SegmentState | None:
    segmentation = segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(segmentId)
    if segment is None:
        return None
    data = slicer.vtkSegment()
    data.DeepCopyMetadata(segment)
    display = segmentationNode.GetDisplayNode()
    return SegmentState(
        index=segmentation.GetSegmentIndex(segmentId),
        segment=data,
        labelmap=segmentLabelmap(segmentationNode, segmentId),
        visible=display is None or bool(display.GetSegmentVisibility(segmentId)),
    )


def _last(changes: list[Change]) -> Change | None:
    """The newest change whose segmentation is still in its scene; newer ones are dropped."""
    while changes:
        change = changes.pop()
        if change.segmentationNode.GetScene() is not None:
            return change
    return None
