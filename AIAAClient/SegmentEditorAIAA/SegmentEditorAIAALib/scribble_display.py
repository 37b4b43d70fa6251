"""Scribbles in the views: a segmentation of their own, which is neither saved nor listed nor part of any result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.volume_access import orientedImage, writeLabelmap

from .strokes import BACKGROUND, ERASE, FOREGROUND

COLORS = {FOREGROUND: (0.25, 0.9, 0.35), BACKGROUND: (1.0, 0.3, 0.25), ERASE: (0.9, 0.9, 0.9)}
IDS = {FOREGROUND: "inside", BACKGROUND: "outside"}
FILL_OPACITY = 0.5


class ScribbleDisplay:
    """Shows the voxels that strokes cover."""

    def __init__(self) -> None:
        self._node: Any = None

    @property
    def node(self) -> Any:
        """The segmentation node that shows them; None when nothing is shown."""
        return self._node

    def show(self, covered: Mapping[int, MaskRegion], volumeNode: Any) -> None:
        """Show these voxels of a volume, and nothing else."""
        if all(region.isEmpty for region in covered.values()):
            self.clear()
            return
        if self._node is None or self._node.GetScene() is None:
            self._node = self._made(volumeNode)
        if self._node.GetTransformNodeID() != volumeNode.GetTransformNodeID():
            self._node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        for value, segmentId in IDS.items():
            writeLabelmap(orientedImage(covered[value], volumeNode), self._node, segmentId)

    def clear(self) -> None:
        """Take them out of the views."""
        if self._node is not None and self._node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None

    @staticmethod
    def _made(volumeNode: Any) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "AIAA scribbles")
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility3D(False)
        display.SetOpacity2DFill(FILL_OPACITY)
        for value, segmentId in IDS.items():
            node.GetSegmentation().AddEmptySegment(segmentId, segmentId, COLORS[value])
        # Only now: the subject hierarchy complains of segments in a node that it does not know.
        node.SetHideFromEditors(True)
        return node
