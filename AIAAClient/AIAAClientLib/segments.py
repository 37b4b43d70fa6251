"""A mask that came, as segments of the scene: one for each label, and no other segment is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.finding_nodes import COLORS, FILL_OPACITY, placeBeside
from IMeasureLib.volume_access import VolumeError, adoptGeometry, writeMask

from .mask_grid import Mask
from .terminology import Color, terminologyFor
from .terminology import colorFor as standardColor

__all__ = ["SegmentsResult", "addSegments", "colorFor", "newSegmentation", "terminologyFor"]

TERMINOLOGY_TAG = "TerminologyEntry"
MODEL_TAG = "AIAAClient.Model"
"""Of a segment: which model made it."""


@dataclass(frozen=True)
class SegmentsResult:
    """What was written.

    Attributes:
        segmentationNode: None when the model gave no mask.
        segmentIds: label → segment id.
        answer: what the server said.
    """

    segmentationNode: Any
    segmentIds: Mapping[str, str]
    answer: Any


def colorFor(label: str, index: int) -> Color:
    """The usual colour of a structure, else one of those that colour-blind people can tell apart."""
    return standardColor(label) or COLORS[index % len(COLORS)]


def newSegmentation(volumeNode: Any, name: str) -> Any:
    """An empty segmentation with the volume's grid, parent transform and place in the subject hierarchy."""
    node = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
    adoptGeometry(node, volumeNode)
    placeBeside(node, volumeNode)
    return node


def addSegments(
    volumeNode: Any,
    segmentationNode: Any,
    regions: Mapping[str, MaskRegion],
    modelName: str,
    onWritten: Callable[[], None] | None = None,
) -> dict[str, str]:
    """Write each label as a new segment; those that there are keep their voxels, and overlap where they must.

    Args:
        regions: label → its voxels on the volume's grid.
        onWritten: called after each, for a window to show it: many large ones take a while.

    Returns:
        label → segment id.

    Raises:
        VolumeError: nothing of it can be written. What was written before is taken back.
    """
    adoptGeometry(segmentationNode, volumeNode)
    written: dict[str, str] = {}
    try:
        for name, region in regions.items():
            segmentId = _emptySegment(segmentationNode, name)
            written[name] = segmentId
            writeMask(region, volumeNode, segmentationNode, segmentId)
            segmentationNode.GetSegmentation().GetSegment(segmentId).SetTag(MODEL_TAG, modelName)
            if onWritten is not None:
                onWritten()
    except VolumeError:
        for segmentId in written.values():
            segmentationNode.GetSegmentation().RemoveSegment(segmentId)
        raise
    return written


def replaceSegment(volumeNode: Any, segmentationNode: Any, segmentId: str, mask: Mask) -> None:
    """Make one segment what a mask says; others keep theirs."""
    if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        raise VolumeError("The segment is no longer there.")
    writeMask(MaskRegion.of(mask != 0), volumeNode, segmentationNode, segmentId)


def _emptySegment(segmentationNode: Any, label: str) -> str:
    """A new segment with a name that no other has; its id."""
    segmentation = segmentationNode.GetSegmentation()
    taken = {segmentation.GetSegment(present).GetName() for present in segmentation.GetSegmentIDs()}
    name = (
        label
        if label not in taken
        else next(f"{label} ({n})" for n in range(2, len(taken) + 3) if f"{label} ({n})" not in taken)
    )
    index = segmentation.GetNumberOfSegments()
    segmentId = segmentation.GenerateUniqueSegmentID(label)
    segmentation.AddEmptySegment(segmentId, name, colorFor(label, index))
    terminology = terminologyFor(label)
    if terminology:
        segmentation.GetSegment(segmentId).SetTag(TERMINOLOGY_TAG, terminology)
    return str(segmentId)
