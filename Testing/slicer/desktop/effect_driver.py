"""Drive the Segment Editor effect IMeasure: what a test needs to know about it, in one place."""

from __future__ import annotations

from typing import Any

import driving
import numpy as np
import slicer
import vtk

ANSWER_WITHIN_SECONDS = 120


class EffectDriver:
    """The Segment Editor with the effect on, one volume, and a segmentation with some empty segments.

    Attributes:
        editor: the qMRMLSegmentEditorWidget.
        volume, segmentation: MRML nodes.
        segmentIds: of the segments, in the order of their names; the first is selected.
    """

    def __init__(self, volumeNode: Any, names: tuple[str, ...] = ("Lesion",), segmentation: Any = None) -> None:
        self.volume = volumeNode
        self.segmentation = segmentation or self._newSegmentation(names)
        self.segmentIds = list(self.segmentation.GetSegmentation().GetSegmentIDs())
        slicer.util.selectModule("SegmentEditor")
        self.editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        self.editor.setSegmentationNode(self.segmentation)
        self.editor.setSourceVolumeNode(volumeNode)
        self.editor.setCurrentSegmentID(self.segmentIds[0] if self.segmentIds else "")
        self.turnOn()

    def _newSegmentation(self, names: tuple[str, ...]) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        node.CreateDefaultDisplayNodes()
        node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in names:
            node.GetSegmentation().AddEmptySegment(name, name)
        return node

    def turnOn(self) -> None:
        """Activate the effect."""
        self.editor.setActiveEffectByName("IMeasure")
        driving.pump(0.1)

    def close(self) -> None:
        """Turn the effect off and let go of the nodes."""
        self.editor.setActiveEffectByName("")
        self.editor.setSegmentationNode(None)
        self.editor.setSourceVolumeNode(None)

    @property
    def isOn(self) -> bool:
        active = self.editor.activeEffect()
        return active is not None and active.name == "IMeasure"

    @property
    def effect(self) -> Any:
        """The effect's Python side."""
        return self.editor.effectByName("IMeasure").self()

    @property
    def status(self) -> str:
        """What the status line says."""
        return self.effect.status.text

    def useTool(self, name: str) -> None:
        """Press a tool's button."""
        ui = self.effect.ui
        button = {"TwoClick": ui.twoClickButton, "TrueClick": ui.trueClickButton, "MagicPen": ui.magicPenButton}[name]
        if not button.checked:
            button.click()
        driving.pump(0.05)

    def select(self, segmentId: str) -> None:
        """Choose another segment in the table."""
        self.editor.setCurrentSegmentID(segmentId)
        driving.pump(0.1)

    def wait(self) -> None:
        """Run the event loop until nothing is being waited for."""
        driving.pump(0.1)
        driving.waitUntil(lambda: not self.effect.queue.isBusy, "the server's answer", ANSWER_WITHIN_SECONDS)
        driving.pump(0.1)

    def mask(self, segmentId: str | None = None) -> np.ndarray:
        """(k, j, i) bool mask of a segment on the volume's grid."""
        segmentId = segmentId or self.segmentIds[0]
        return slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segmentId, self.volume) != 0

    def finding(self, segmentId: str | None = None) -> Any:
        """What the segment carries, None when nothing."""
        from IMeasureLib.finding_nodes import readFinding

        return readFinding(self.segmentation, segmentId or self.segmentIds[0])

    def steps(self, segmentId: str | None = None) -> tuple:
        """Prompts that the segment carries."""
        finding = self.finding(segmentId)
        return finding.history.steps if finding is not None else ()

    def markerPositions(self) -> np.ndarray:
        """World RAS of all markers in the views, (n, 3)."""
        positions = []
        for node in self.effect.markups.nodes:
            for index in range(node.GetNumberOfControlPoints()):
                position = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(index, position)
                positions.append(position)
        return np.array(positions).reshape(-1, 3)

    def fill(self, segmentId: str, mask: np.ndarray) -> None:
        """Give a segment voxels, (k, j, i) on the volume's grid, as another effect would."""
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask.astype(np.uint8), self.segmentation, segmentId, self.volume
        )
        driving.pump(0.1)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2.0 * np.count_nonzero(first & second) / max(1, np.count_nonzero(first) + np.count_nonzero(second))


def voxelAt(volumeNode: Any, ras: Any) -> tuple[int, int, int]:
    """(k, j, i) of the voxel that holds a world RAS position, through the volume's parent transform."""
    local = [0.0, 0.0, 0.0]
    volumeNode.TransformPointFromWorld([float(value) for value in ras], local)
    rasToIjk = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    i, j, k = (int(np.floor(value + 0.5)) for value in rasToIjk.MultiplyPoint([*local, 1.0])[:3])
    return k, j, i


def worldOf(volumeNode: Any, kji: Any) -> np.ndarray:
    """World RAS of a voxel's centre, through the volume's parent transform."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    k, j, i = (float(value) for value in kji)
    world = [0.0, 0.0, 0.0]
    volumeNode.TransformPointToWorld(list(ijkToRas.MultiplyPoint([i, j, k, 1.0])[:3]), world)
    return np.array(world)
