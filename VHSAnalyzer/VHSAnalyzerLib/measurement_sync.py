"""Keeps lines in step with landmarks, whoever moves them: a mouse, a script, a transform, a loaded scene."""

from __future__ import annotations

from typing import Any, Callable

import slicer
import vtk

from .axes import removeLines, syncLines
from .scene_nodes import CLASS, allLandmarks, isLandmarks, pictureOf_


class MeasurementSync:
    """Observes a scene.

    Attributes:
        onChanged: called with the landmarks node after it changed (for numbers that follow); it may come often.
        onRemoved: called after landmarks are gone.
    """

    def __init__(self, scene: Any, onChanged: Callable[[Any], None] | None = None) -> None:
        self.scene = scene
        self.onChanged = onChanged
        self.onRemoved: Callable[[], None] | None = None
        self._busy = False
        self._observed: dict[str, list[tuple[Any, int]]] = {}
        events = (scene.EndImportEvent, scene.EndRestoreEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent)
        self._tags = [scene.AddObserver(event, self._onSceneReplaced) for event in events]
        self._tags.append(scene.AddObserver(scene.NodeAddedEvent, self._onNodeAdded))
        self._tags.append(scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._onNodeRemoved))
        self.refresh()

    def stop(self) -> None:
        """Observe nothing any more."""
        for tag in self._tags:
            self.scene.RemoveObserver(tag)
        self._tags = []
        for nodeId in list(self._observed):
            self._forget(nodeId)

    def refresh(self) -> None:
        """Observe all landmarks that are in the scene now, and put their lines right."""
        for nodeId in list(self._observed):
            self._forget(nodeId)
        for node in allLandmarks(self.scene):
            self.observe(node)
            self.sync(node)

    def observe(self, node: Any) -> None:
        """Follow these landmarks; may be called again."""
        if node.GetID() in self._observed:
            return
        events = (
            vtk.vtkCommand.ModifiedEvent,
            node.PointModifiedEvent,
            node.PointEndInteractionEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        )
        pairs = [(node, node.AddObserver(event, lambda *_: self.sync(node))) for event in events]
        volume = pictureOf_(node)
        if volume is not None:
            event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
            pairs.append((volume, volume.AddObserver(event, lambda *_: self._follow(node, volume))))
        self._observed[node.GetID()] = pairs

    def sync(self, node: Any) -> None:
        """Put the lines of landmarks right and tell of the change."""
        if self._busy or self._isChanging or node.GetScene() is None:
            return
        self._busy = True
        try:
            syncLines(node)
        finally:
            self._busy = False
        if self.onChanged is not None:
            self.onChanged(node)

    def _follow(self, node: Any, volume: Any) -> None:
        """The picture was put under a transform: its landmarks go along."""
        if node.GetScene() is not None and node.GetTransformNodeID() != volume.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())

    @property
    def _isChanging(self) -> bool:
        return bool(self.scene.IsImporting() or self.scene.IsClosing() or self.scene.IsRestoring())

    def _forget(self, nodeId: str) -> None:
        for observed, tag in self._observed.pop(nodeId, []):
            observed.RemoveObserver(tag)

    def _onSceneReplaced(self, caller: Any, event: str) -> None:
        if not self._isChanging:
            self.refresh()
            if self.onRemoved is not None:
                self.onRemoved()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller: Any, event: str, node: Any) -> None:
        if not self._isChanging and isLandmarks(node):
            self.observe(node)
            self.sync(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller: Any, event: str, node: Any) -> None:
        self._forget(node.GetID())
        if self._isChanging or not node.IsA(CLASS) or not isLandmarks(node):
            return
        removeLines(node)
        if self.onRemoved is not None:
            self.onRemoved()
