"""What an answer does to the segment being edited: through the Segment Editor's masking, and to no other segment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import slicer

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.finding_nodes import readFinding, removeFinding, storeFinding
from IMeasureLib.findings import Finding, Measurements
from IMeasureLib.imeasure_client import SegmentationAnswer
from IMeasureLib.logic import IMeasureLogic, SegmentRequest
from IMeasureLib.prompts import PromptHistory, Step
from IMeasureLib.volume_access import labelmapFor, readMask


class SegmentChanges:
    """Writes masks into segments as an effect of the Segment Editor does.

    Editable area, intensity range and the mode of overwriting are the Segment Editor's and decide what is written.

    Args:
        scriptedEffect: the qSlicerSegmentEditorScriptedEffect.
    """

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect

    def requestWithSteps(
        self, logic: IMeasureLogic, volumeNode: Any, steps: list[Step], segmentationNode: Any, segmentId: str
    ) -> SegmentRequest:
        """The question for newer prompts.

        In a segment that has voxels but no prompts yet, prompts that say where the lesion is find it anew, and what
        they find is added (``apply``); an excluding click refines what is there.
        """
        request = logic.requestFor(volumeNode, steps, segmentationNode, segmentId)
        isFirst = readFinding(segmentationNode, segmentId) is None
        return replace(request, previousMask=None) if isFirst and not request.history.isEmpty else request

    def requestWithHistory(
        self, logic: IMeasureLogic, volumeNode: Any, history: PromptHistory, segmentationNode: Any, segmentId: str
    ) -> SegmentRequest:
        """The question for prompts of which some were moved or deleted.

        A mask that is all IMeasure's is made anew from the prompts. One that was also painted by hand is refined near
        the prompts instead, so that the painting is not lost.
        """
        finding = readFinding(segmentationNode, segmentId)
        if finding is None or isAsMeasured(finding, readMask(segmentationNode, segmentId, volumeNode)):
            return logic.requestAnew(volumeNode, history, segmentationNode, segmentId)
        request = logic.requestFor(volumeNode, [], segmentationNode, segmentId)
        return replace(request, history=history)

    def apply(self, request: SegmentRequest, answer: SegmentationAnswer, keepOthers: bool) -> Finding:
        """Make the segment of a request the mask of its answer, as one step of undo; returns the finding as stored.

        Args:
            keepOthers: other segments keep their voxels, whatever the Segment Editor's setting says about overwriting.
        """
        self._effect.saveStateForUndo()
        present = readMask(request.segmentationNode, request.segmentId, request.volumeNode)
        isFirst = request.previousMask is None and request.findingId is None
        self._change(request, present, union(present, answer.mask) if isFirst else answer.mask, keepOthers)
        written = readMask(request.segmentationNode, request.segmentId, request.volumeNode)
        # Masking may have kept voxels out or in: then the server's numbers are those of another mask.
        measurements = answer.measurements if sameMask(written, answer.mask) else None
        finding = findingOf(request.segmentationNode, request.segmentId, request.history, measurements)
        storeFinding(request.segmentationNode, request.segmentId, finding, request.volumeNode)
        return finding

    def clear(self, segmentationNode: Any, segmentId: str, volumeNode: Any) -> None:
        """Take a finding away, as one step of undo: its prompts, and its voxels unless they were edited otherwise."""
        self._effect.saveStateForUndo()
        finding = readFinding(segmentationNode, segmentId)
        present = readMask(segmentationNode, segmentId, volumeNode)
        if finding is not None and isAsMeasured(finding, present):
            with self._overwriting(False):
                self._modify(segmentationNode, segmentId, present, volumeNode, "Remove")
        removeFinding(segmentationNode, segmentId)

    def _change(self, request: SegmentRequest, present: MaskRegion, wanted: MaskRegion, keepOthers: bool) -> None:
        added, removed = differences(present, wanted)
        with self._overwriting(keepOthers):
            for region, mode in ((removed, "Remove"), (added, "Add")):
                if not region.isEmpty:
                    self._modify(request.segmentationNode, request.segmentId, region, request.volumeNode, mode)

    def _modify(self, segmentationNode: Any, segmentId: Any, region: MaskRegion, volumeNode: Any, mode: str) -> None:
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


def findingOf(
    segmentationNode: Any, segmentId: Any, history: PromptHistory, measurements: Measurements | None
) -> Finding:
    """The segment's finding, or a new one, with these prompts and measurements."""
    finding = readFinding(segmentationNode, segmentId)
    if finding is None:
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        finding = Finding(name=segment.GetName(), color=tuple(segment.GetColor()))
    return finding.with_(history=history, measurements=measurements)


def isAsMeasured(finding: Finding, mask: MaskRegion) -> bool:
    """Whether the mask is still the one that was measured, as far as its number of voxels tells."""
    return finding.measurements is not None and finding.measurements.volume == mask.count


def union(first: MaskRegion, second: MaskRegion) -> MaskRegion:
    """Voxels of either."""
    added, _ = differences(first, second)
    return second if first.isEmpty else MaskRegion(added.array | first.onBox(added.origin, added.size), added.origin)


def differences(present: MaskRegion, wanted: MaskRegion) -> tuple[MaskRegion, MaskRegion]:
    """(to add, to remove) on the box that holds both masks."""
    regions = [region for region in (present, wanted) if not region.isEmpty]
    if not regions:
        return present, present
    lower = np.min([region.origin for region in regions], axis=0)
    upper = np.max([np.add(region.origin, region.size) for region in regions], axis=0)
    origin = (int(lower[0]), int(lower[1]), int(lower[2]))
    size = (int(upper[0] - lower[0]), int(upper[1] - lower[1]), int(upper[2] - lower[2]))
    before, after = present.onBox(origin, size), wanted.onBox(origin, size)
    return MaskRegion(after & ~before, origin), MaskRegion(before & ~after, origin)


def sameMask(first: MaskRegion, second: MaskRegion) -> bool:
    """Whether two regions hold the same voxels, whatever their boxes."""
    added, removed = differences(first, second)
    return added.isEmpty and removed.isEmpty
