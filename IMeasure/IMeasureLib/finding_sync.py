"""Keeps the lines of findings in step with their segments, whoever changes them."""

from __future__ import annotations

from typing import Any, Callable

import slicer
import vtk

from .finding_nodes import (
    SEGMENTATION_ROLE,
    checkMeasured,
    findingSegments,
    isBeingWritten,
    nodesOfClass,
    syncSegmentation,
)

SEGMENTATION_CLASS = "vtkMRMLSegmentationNode"
VOLUME_CLASS = "vtkMRMLScalarVolumeNode"


class FindingSync:
    """Observes a scene: segments renamed, recoloured, hidden, removed, restored by undo; volumes put under a transform.

    Attributes:
        onChanged: called after findings may have changed (for a table of them); it may come more than once.
    """

    def __init__(self, scene: Any, onChanged: Callable[[], None] | None = None) -> None:
        self.scene = scene
        self.onChanged = onChanged
        self._busy = False
        self._observed: dict[str, list[tuple[Any, int]]] = {}
        events = (scene.EndImportEvent, scene.EndRestoreEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent)
        self._sceneTags = [scene.AddObserver(event, self._onSceneReplaced) for event in events]
        self._sceneTags.append(scene.AddObserver(scene.NodeAddedEvent, self._onNodeAdded))
        self._sceneTags.append(scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._onNodeRemoved))
        self.refresh()

    def stop(self) -> None:
        """Observe nothing any more."""
        for tag in self._sceneTags:
            self.scene.RemoveObserver(tag)
        self._sceneTags = []
        for nodeId in list(self._observed):
            self._forget(nodeId)

    def refresh(self) -> None:
        """Observe what is in the scene now, and put all lines right."""
        for nodeId in list(self._observed):
            self._forget(nodeId)
        for className in (SEGMENTATION_CLASS, VOLUME_CLASS):
            for node in nodesOfClass(self.scene, className):
                self._observe(node)
        self._syncAll()

    @property
    def _isChanging(self) -> bool:
        """Whether the scene is being filled or emptied; what is to be done then waits for the end of it."""
        return bool(self.scene.IsImporting() or self.scene.IsClosing() or self.scene.IsRestoring())

    def _observe(self, node: Any) -> None:
        if node.IsA(VOLUME_CLASS):
            event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
            self._observed[node.GetID()] = [(node, node.AddObserver(event, lambda *_: self._syncAll()))]
            return
        segmentation = node.GetSegmentation()
        kinds = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")

        def react(*_: Any) -> None:
            self._sync(node)

        def check(*_: Any) -> None:
            if not self._busy and not isBeingWritten(node):
                for segmentId in findingSegments(node):
                    checkMeasured(node, segmentId)  # a change of a tag comes back as SegmentModified

        pairs = [(segmentation, segmentation.AddObserver(getattr(segmentation, kind), react)) for kind in kinds]
        edited = getattr(segmentation, "SourceRepresentationModified", None)
        if edited is None:  # Slicer 5.2 and older
            edited = segmentation.MasterRepresentationModified
        pairs.append((segmentation, segmentation.AddObserver(edited, check)))
        pairs.append((node, node.AddObserver(slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, react)))
        self._observed[node.GetID()] = pairs

    def _forget(self, nodeId: str) -> None:
        for observed, tag in self._observed.pop(nodeId, []):
            observed.RemoveObserver(tag)

    def _sync(self, segmentationNode: Any) -> None:
        if self._busy or self._isChanging or segmentationNode.GetScene() is None:
            return
        if isBeingWritten(segmentationNode):
            self._tell()
            return
        self._busy = True
        try:
            syncSegmentation(segmentationNode)
        finally:
            self._busy = False
        self._tell()

    def _syncAll(self) -> None:
        for node in nodesOfClass(self.scene, SEGMENTATION_CLASS):
            self._sync(node)

    def _tell(self) -> None:
        if self.onChanged is not None:
            self.onChanged()

    def _onSceneReplaced(self, caller: Any, event: str) -> None:
        if not self._isChanging:
            self.refresh()
            self._tell()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller: Any, event: str, node: Any) -> None:
        if not self._isChanging and (node.IsA(SEGMENTATION_CLASS) or node.IsA(VOLUME_CLASS)):
            self._observe(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller: Any, event: str, node: Any) -> None:
        if node.GetID() in self._observed:
            self._forget(node.GetID())
        if self._isChanging or not node.IsA(SEGMENTATION_CLASS):
            return
        for line in nodesOfClass(self.scene, "vtkMRMLMarkupsLineNode"):
            if line.GetNodeReferenceID(SEGMENTATION_ROLE) == node.GetID():
                self.scene.RemoveNode(line)
        self._tell()
