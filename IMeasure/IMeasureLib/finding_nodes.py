"""A finding in the scene: a segment that carries it in a tag, and the markups lines that belong to it.

The tag is the truth: it goes with the segment through undo, scene save and restore, and copying between segmentations.
The lines are a picture of it, made anew whenever they do not fit: they have the segment's name, colour and visibility,
and hang below the volume's parent transform.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

from .findings import Color, Finding, FindingError, MeasuredLine
from .prompts import PromptError
from .volume_access import countVoxels

TAG = "IMeasure.Finding"
COUNT_TAG = "IMeasure.MeasuredVoxels"
OUTDATED_TAG = "IMeasure.Outdated"
"""Set while a segment's voxels are not those that were measured: another effect changed them."""

SEGMENT_ATTRIBUTE = "IMeasure.SegmentId"
FINDING_ATTRIBUTE = "IMeasure.FindingId"
KIND_ATTRIBUTE = "IMeasure.Line"
SEGMENTATION_ROLE = "IMeasure.Segmentation"
VOLUME_ROLE = "IMeasure.Volume"
LINE_KINDS = ("long", "short", "diameter", "height")
LINE_LABELS = {"long": "long", "short": "short", "diameter": "3D", "height": "height"}
TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~Anatomic codes - DICOM master list~^^~^^"
)
"""Standard terminology of a finding's segment."""

COLORS: tuple[Color, ...] = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.78, 0.55),
    (0.95, 0.90, 0.25),
    (1.00, 0.45, 0.25),
    (0.87, 0.55, 0.80),
)
"""Colours of new findings, one after the other: those of Okabe and Ito, which colour-blind people can tell apart,
lightened a little for lines on a dark CT."""

NO_LABEL = " "
"""An empty label would be replaced by the node's name and a number."""

FILL_OPACITY = 0.25
"""Of masks in slice views: what is below, and the axes on top, remain visible."""


def segmentOf(segmentationNode: Any, segmentId: str) -> Any:
    """The vtkSegment, or None."""
    return segmentationNode.GetSegmentation().GetSegment(segmentId) if segmentationNode is not None else None


def tagOf(segmentationNode: Any, segmentId: str, tag: str = TAG) -> str:
    """What a segment's tag holds, "" when it has none; by default the stored finding."""
    segment = segmentOf(segmentationNode, segmentId)
    text = vtk.reference("")
    return str(text) if segment is not None and segment.GetTag(tag, text) else ""


def readFinding(segmentationNode: Any, segmentId: str) -> Finding | None:
    """A segment's finding with the segment's present name, colour and visibility; None when it has none.

    Its measurements are None while the segment's voxels are not those that were measured.

    Raises:
        FindingError: what is stored is damaged or of a newer IMeasure.
        PromptError: the same of its prompts.
    """
    text = tagOf(segmentationNode, segmentId)
    if not text:
        return None
    segment = segmentOf(segmentationNode, segmentId)
    red, green, blue = segment.GetColor()
    finding = Finding.fromJSON(text)
    return finding.with_(
        name=segment.GetName() or "",
        color=(red, green, blue),
        visible=isVisible(segmentationNode, segmentId),
        measurements=None if tagOf(segmentationNode, segmentId, OUTDATED_TAG) else finding.measurements,
    )


def checkMeasured(segmentationNode: Any, segmentId: str) -> None:
    """Note whether a finding's voxels are still as many as were measured."""
    measured = tagOf(segmentationNode, segmentId, COUNT_TAG)
    outdated = bool(measured) and countVoxels(segmentationNode, segmentId) != int(measured)
    if outdated == bool(tagOf(segmentationNode, segmentId, OUTDATED_TAG)):
        return
    segment = segmentOf(segmentationNode, segmentId)
    if outdated:
        segment.SetTag(OUTDATED_TAG, "1")
    else:
        segment.RemoveTag(OUTDATED_TAG)


def readableFinding(segmentationNode: Any, segmentId: str) -> Finding | None:
    """As ``readFinding``; None also for what cannot be read."""
    try:
        return readFinding(segmentationNode, segmentId)
    except (FindingError, PromptError):
        return None


def isVisible(segmentationNode: Any, segmentId: str) -> bool:
    """Whether the segment and its segmentation are shown."""
    display = segmentationNode.GetDisplayNode()
    return display is None or bool(display.GetVisibility() and display.GetSegmentVisibility(segmentId))


def storeFinding(segmentationNode: Any, segmentId: str, finding: Finding, volumeNode: Any) -> None:
    """Make a segment carry a finding whose measurements are those of its present voxels, and draw its lines.

    Args:
        volumeNode: what was measured; coordinates are in its own space.
    """
    segment = segmentOf(segmentationNode, segmentId)
    segment.SetTag(COUNT_TAG, str(countVoxels(segmentationNode, segmentId)))
    segment.RemoveTag(OUTDATED_TAG)
    segment.SetTag(TAG, finding.toJSON().replace("|", "\\u007c"))  # Slicer's .seg.nrrd separates tags by "|"
    segmentationNode.SetNodeReferenceID(volumeRole(finding), volumeNode.GetID())
    syncLines(segmentationNode, segmentId)


def removeFinding(segmentationNode: Any, segmentId: str) -> None:
    """Make a segment an ordinary one: its voxels stay, its prompts, measurements and lines go."""
    segment = segmentOf(segmentationNode, segmentId)
    if segment is not None:
        for tag in (TAG, COUNT_TAG, OUTDATED_TAG):
            segment.RemoveTag(tag)
    syncLines(segmentationNode, segmentId)


def volumeRole(finding: Finding) -> str:
    """Name of the reference from a segmentation to the volume of one of its findings."""
    return f"{VOLUME_ROLE}.{finding.id}"


def volumeOf(segmentationNode: Any, finding: Finding) -> Any:
    """The volume that a finding was measured on, or None when it is gone."""
    return segmentationNode.GetNodeReference(volumeRole(finding))


def findingSegments(segmentationNode: Any) -> list[str]:
    """Ids of the segments that are findings, in the segmentation's order."""
    segmentIds = segmentationNode.GetSegmentation().GetSegmentIDs()
    return [segmentId for segmentId in segmentIds if tagOf(segmentationNode, segmentId)]


def nodesOfClass(scene: Any, name: str) -> list[Any]:
    """All nodes of a class, in the scene's order."""
    return [scene.GetNthNodeByClass(index, name) for index in range(scene.GetNumberOfNodesByClass(name))]


def linesOf(segmentationNode: Any, segmentId: str | None = None) -> dict[tuple[str, str], Any]:
    """(segment id, kind) → line node of the lines of one segment, or of all segments of a segmentation."""
    lines = {}
    for line in nodesOfClass(segmentationNode.GetScene(), "vtkMRMLMarkupsLineNode"):
        owner = line.GetAttribute(SEGMENT_ATTRIBUTE)
        if line.GetNodeReferenceID(SEGMENTATION_ROLE) != segmentationNode.GetID() or not owner:
            continue
        if segmentId in (None, owner):
            lines[owner, line.GetAttribute(KIND_ATTRIBUTE) or ""] = line
    return lines


_written: set[str] = set()
"""Ids of segmentations in the middle of a change."""


@contextmanager
def writing(segmentationNode: Any) -> Iterator[None]:
    """Keep observers from following a change step by step: lines that come and go cost tenths of a second each time."""
    nodeId = str(segmentationNode.GetID())
    _written.add(nodeId)
    try:
        yield
    finally:
        _written.discard(nodeId)


def isBeingWritten(segmentationNode: Any) -> bool:
    """Whether someone is in the middle of a change and puts the lines right at its end."""
    return segmentationNode.GetID() in _written


def syncSegmentation(segmentationNode: Any) -> None:
    """Make all lines of a segmentation agree with its segments; those of segments that are gone are removed."""
    segmentIds = set(segmentationNode.GetSegmentation().GetSegmentIDs())
    owners = {owner for owner, _ in linesOf(segmentationNode)}
    for segmentId in owners | set(findingSegments(segmentationNode)):
        if segmentId in segmentIds or segmentId in owners:
            syncLines(segmentationNode, segmentId)


def syncLines(segmentationNode: Any, segmentId: str) -> None:
    """Make the lines of one segment agree with its tag, name, colour, visibility and the volume's parent transform."""
    scene = segmentationNode.GetScene()
    present = linesOf(segmentationNode, segmentId)
    finding = readableFinding(segmentationNode, segmentId)
    wanted = measuredLines(finding) if finding is not None else {}
    for (_, kind), line in present.items():
        if kind not in wanted:
            scene.RemoveNode(line)
    if finding is None:
        return
    owner = volumeOf(segmentationNode, finding) or segmentationNode
    for kind, measured in wanted.items():
        line = present.get((segmentId, kind))
        if line is None:
            _addLine(segmentationNode, segmentId, kind, measured, finding, owner)
        else:
            _updateLine(line, kind, measured, finding, owner)


def measuredLines(finding: Finding) -> dict[str, MeasuredLine]:
    """Kind → line of what is drawn: the axes on the slice with the longest long axis, 3D diameter and height."""
    m = finding.measurements
    if m is None:
        return {}
    lines = {"long": m.long, "short": m.short, "diameter": m.diameter, "height": m.height}
    return {kind: line for kind, line in lines.items() if line is not None}


def _addLine(
    segmentationNode: Any, segmentId: str, kind: str, measured: MeasuredLine, finding: Finding, owner: Any
) -> None:
    """Make a line with all that it shows, since each change of a node in the scene makes the views work.

    Its points come last all the same: a line measures itself only in a scene.
    """
    scene = segmentationNode.GetScene()
    line = slicer.vtkMRMLMarkupsLineNode()
    line.SetAttribute(SEGMENT_ATTRIBUTE, segmentId)
    line.SetAttribute(KIND_ATTRIBUTE, kind)
    line.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
    line.SetName(_lineName(kind, finding))
    line.SetAttribute(FINDING_ATTRIBUTE, finding.id)
    line.SetLocked(True)
    display = slicer.vtkMRMLMarkupsDisplayNode()
    _styleLine(display, kind, owner)
    _updateDisplay(display, finding)
    scene.AddNode(display)
    line.SetAndObserveDisplayNodeID(display.GetID())
    scene.AddNode(line)
    _updateLine(line, kind, measured, finding, owner)


def _styleLine(display: Any, kind: str, owner: Any) -> None:
    """The length stands at the line's end, so that crossing axes do not write over each other."""
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetTextScale(3.0)
    display.SetGlyphTypeFromString("Cross2D")
    display.SetGlyphScale(1.5)
    display.SetCurveLineSizeMode(display.UseLineThickness)
    display.SetLineThickness(0.3)
    # By default a line changes its hue and goes on for a centimetre before and behind its slice.
    halfSlice = max(owner.GetSpacing()) / 2.0 if hasattr(owner, "GetSpacing") else 1.0
    display.SetLineColorFadingHueOffset(0.0)
    display.SetLineColorFadingStart(halfSlice)
    display.SetLineColorFadingEnd(halfSlice * 1.01)
    # Across the slices a line would show as a dot on each: only the axes, which lie in one slice, belong there.
    # In 3D they would only be in the way of the other two.
    isAxis = kind in ("long", "short")
    display.SetVisibility2D(isAxis)
    display.SetVisibility3D(not isAxis)


def _lineName(kind: str, finding: Finding) -> str:
    return f"{finding.name} {LINE_LABELS[kind]}"


def _lengthText(kind: str, measured: MeasuredLine) -> str:
    """What stands at a line's end; in slice views only the axes are shown, and which is the longer one sees."""
    text = f"{measured.length:.1f} mm"
    return text if kind in ("long", "short") else f"{LINE_LABELS[kind]} {text}"


def _updateLine(line: Any, kind: str, measured: MeasuredLine, finding: Finding, owner: Any) -> None:
    """Change only what differs."""
    name = _lineName(kind, finding)
    if line.GetName() != name:
        line.SetName(name)
    if line.GetAttribute(FINDING_ATTRIBUTE) != finding.id:
        line.SetAttribute(FINDING_ATTRIBUTE, finding.id)
    ends = [list(measured.start), list(measured.end)]
    present = [list(line.GetNthControlPointPosition(n)) for n in range(line.GetNumberOfControlPoints())]
    if present != ends:
        modifying = line.StartModify()
        line.RemoveAllControlPoints()
        for end, label in zip(ends, (NO_LABEL, _lengthText(kind, measured))):
            line.AddControlPoint(vtk.vtkVector3d(*end), label)
        line.EndModify(modifying)
    if line.GetTransformNodeID() != owner.GetTransformNodeID():
        line.SetAndObserveTransformNodeID(owner.GetTransformNodeID())
    if line.GetDisplayNode() is not None:
        _updateDisplay(line.GetDisplayNode(), finding)


def _updateDisplay(display: Any, finding: Finding) -> None:
    if tuple(display.GetSelectedColor()) != finding.color:
        display.SetSelectedColor(*finding.color)
        display.SetColor(*finding.color)
    if bool(display.GetVisibility()) != finding.visible:
        display.SetVisibility(finding.visible)


def placeBeside(node: Any, volumeNode: Any) -> None:
    """Put a node into the volume's folder (its study) of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    if hierarchy is None:
        return
    item, volumeItem = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volumeNode)
    if slicer.vtkMRMLSubjectHierarchyNode.GetInvalidItemID() not in (item, volumeItem):
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))
