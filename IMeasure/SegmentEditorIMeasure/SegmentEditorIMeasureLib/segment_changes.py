"""What an answer does to the segment being edited: through the Segment Editor's masking, and to no other segment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.finding_nodes import readFinding, removeFinding, storeFinding
from IMeasureLib.findings import Finding, Measurements
from IMeasureLib.imeasure_client import SegmentationAnswer
from IMeasureLib.logic import IMeasureLogic, SegmentRequest
from IMeasureLib.prompts import PromptHistory, Step
from IMeasureLib.segment_edit import EMPTY, SegmentEdit, sameMask, union
from IMeasureLib.volume_access import readMask


class SegmentChanges:
    """Writes masks into segments as an effect of the Segment Editor does.

    Editable area, intensity range and the mode of overwriting are the Segment Editor's and decide what is written.

    Args:
        scriptedEffect: the qSlicerSegmentEditorScriptedEffect.
    """

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect
        self._segments = SegmentEdit(scriptedEffect)

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
        wanted = union(present, answer.mask) if isFirst else answer.mask
        where = (request.segmentationNode, request.segmentId, request.volumeNode)
        self._segments.change(present, wanted, *where, keepOthers)
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
            self._segments.change(present, EMPTY, segmentationNode, segmentId, volumeNode, keepOthers=False)
        removeFinding(segmentationNode, segmentId)


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
