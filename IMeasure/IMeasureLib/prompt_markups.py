"""Prompts as markups in the views: drag one to move it, delete one with the Delete key or its context menu.

The nodes are a picture of a ``PromptHistory`` and not kept: the history itself lives in the segment's tag, so the nodes
are left out of saved scenes and made anew when they are shown again.
"""

from __future__ import annotations

from typing import Any, Callable

import slicer
import vtk

from .geometry import VolumeGeometry
from .prompts import Click, PenStroke, Point, PromptError, PromptHistory, Step, TwoClick, withPoints
from .volume_access import geometryOf

ATTRIBUTE = "IMeasure.Prompts"
"""Node attribute that tells these nodes from a person's own markups."""

POSITIVE_COLOR = (0.25, 0.9, 0.35)
NEGATIVE_COLOR = (1.0, 0.3, 0.25)
GLYPH_SCALE = 2.6
"""% of the view, as Slicer counts it."""

PEN_GLYPH_SCALE = 1.0
PEN_LINE_THICKNESS = 0.25

INCLUDE, EXCLUDE, PEN = "include", "exclude", "stroke "
"""Keys of the nodes; each stroke has its own."""

DrawnPoint = tuple[str, Point]
"""("step.point" in the history, position): how a point is known again after others were deleted."""


class PromptMarkups:
    """Shows the prompts of one finding.

    Args:
        onEdited: called with the new history when a person has moved or deleted a prompt. The nodes still show it as
            they left it; ``show`` draws whatever comes of it. It is called from within Slicer's own event handling.
    """

    def __init__(self, onEdited: Callable[[PromptHistory], None]) -> None:
        self._onEdited = onEdited
        self._history = PromptHistory()
        self._geometry: VolumeGeometry | None = None
        self._nodes: dict[str, Any] = {}
        self._tags: list[tuple[Any, int]] = []
        self._visible = True
        self._isDrawing = False

    @property
    def history(self) -> PromptHistory:
        """What is shown."""
        return self._history

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The markups nodes that show it."""
        return tuple(self._nodes.values())

    @property
    def isHovered(self) -> bool:
        """Whether the mouse is over a prompt, so that a press belongs to it."""
        displays = [node.GetDisplayNode() for node in self._nodes.values()]
        return any(display is not None and display.GetActiveComponentType() for display in displays)

    def show(self, history: PromptHistory, volumeNode: Any) -> None:
        """Show these prompts in the space of a volume (its parent transform included), instead of what was shown."""
        self._history = history
        self._geometry = geometryOf(volumeNode)
        wanted = _drawing(history)
        self._isDrawing = True
        try:
            for key in [key for key, node in self._nodes.items() if key not in wanted or node.GetScene() is None]:
                self._remove(key)
            for key, points in wanted.items():
                # Making a node costs far more than changing one: what there is is kept.
                node = self._nodes.get(key) or self._addNode(key)
                if node.GetTransformNodeID() != volumeNode.GetTransformNodeID():
                    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
                _setPoints(node, points)
        finally:
            self._isDrawing = False

    def setVisible(self, visible: bool) -> None:
        """Show or hide the prompts, now and later."""
        self._visible = visible
        for node in self._nodes.values():
            node.GetDisplayNode().SetVisibility(visible)

    def clear(self) -> None:
        """Take the prompts out of the views."""
        self._isDrawing = True
        try:
            for key in list(self._nodes):
                self._remove(key)
        finally:
            self._isDrawing = False
        self._history, self._geometry = PromptHistory(), None

    def _remove(self, key: str) -> None:
        node = self._nodes.pop(key)
        for observed, tag in self._tags:
            if observed is node:
                node.RemoveObserver(tag)
        self._tags = [(observed, tag) for observed, tag in self._tags if observed is not node]
        if node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(node)

    def _addNode(self, key: str) -> Any:
        isPen = key.startswith(PEN)
        className = "vtkMRMLMarkupsClosedCurveNode" if isPen else "vtkMRMLMarkupsFiducialNode"
        node = slicer.mrmlScene.AddNewNodeByClass(className, f"IMeasure {key}")
        node.SetAttribute(ATTRIBUTE, "1")
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        color = NEGATIVE_COLOR if key == EXCLUDE else POSITIVE_COLOR
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        display.SetVisibility(self._visible)
        display.SetGlyphScale(PEN_GLYPH_SCALE if isPen else GLYPH_SCALE)
        if isPen:
            node.SetCurveTypeToLinear()
            display.SetCurveLineSizeMode(display.UseLineThickness)
            display.SetLineThickness(PEN_LINE_THICKNESS)
        else:
            # Told apart by their form, too.
            display.SetGlyphTypeFromString("ThickCross2D" if key == EXCLUDE else "Sphere3D")
        self._nodes[key] = node
        for event in (node.PointEndInteractionEvent, node.PointRemovedEvent):
            self._tags.append((node, node.AddObserver(event, lambda *_: self._edited())))
        return node

    def _edited(self) -> None:
        if self._isDrawing:
            return
        history = self._read()
        if history != self._history:
            self._onEdited(history)

    def _read(self) -> PromptHistory:
        """The history as the nodes show it now."""
        left: dict[int, dict[int, Any]] = {}
        for node in self._nodes.values():
            for index in range(node.GetNumberOfControlPoints()):
                at, point = (int(part) for part in node.GetNthControlPointDescription(index).split("."))
                left.setdefault(at, {})[point] = tuple(node.GetNthControlPointPosition(index))
        steps = []
        for index, step in enumerate(self._history.steps):
            points = [position for _, position in sorted(left.get(index, {}).items())]
            steps.append(self._remade(step, points))
        return PromptHistory(tuple(step for step in steps if step is not None))

    def _remade(self, step: Step, points: list[Any]) -> Step | None:
        """A step with its points as they are now; None when too few are left."""
        if isinstance(step, PenStroke):
            return withPoints(step, self._onSlice(step, points)) if len(points) >= 3 else None
        if len(points) < len(step.points):
            return None
        # A position that nobody moved stays the same number, whatever the way through the node does to its last digit.
        kept = [old if _near(old, new) else new for old, new in zip(step.points, points)]
        return withPoints(step, kept)

    def _onSlice(self, stroke: PenStroke, points: list[Any]) -> list[Any]:
        """Points of a stroke back on its slice: one dragged in another view must not leave it."""
        if self._geometry is None:
            raise PromptError("No prompts are shown.")
        ijk = self._geometry.rasToIJK(points)
        ijk[:, 2] = self._geometry.rasToIJK(stroke.points)[:, 2].mean()
        moved = [tuple(float(value) for value in row) for row in self._geometry.ijkToRAS(ijk)]
        return (
            [old if _near(old, new) else new for old, new in zip(stroke.points, moved)]
            if len(moved) == len(stroke.points)
            else moved
        )


def _drawing(history: PromptHistory) -> dict[str, list[DrawnPoint]]:
    """Key of each node that is needed → its points."""
    drawing: dict[str, list[DrawnPoint]] = {}
    for index, step in enumerate(history.steps):
        key = f"{PEN}{index}" if isinstance(step, PenStroke) else INCLUDE if _isPositive(step) else EXCLUDE
        for point, position in enumerate(step.points):
            drawing.setdefault(key, []).append((f"{index}.{point}", position))
    return drawing


def _setPoints(node: Any, points: list[DrawnPoint]) -> None:
    """Make a node's control points these, touching only what differs."""
    present = [
        (node.GetNthControlPointDescription(index), tuple(node.GetNthControlPointPosition(index)))
        for index in range(node.GetNumberOfControlPoints())
    ]
    same = 0
    while same < min(len(present), len(points)) and _isSame(present[same], points[same]):
        same += 1
    for index in reversed(range(same, len(present))):
        node.RemoveNthControlPoint(index)
    for name, position in points[same:]:
        node.SetNthControlPointDescription(node.AddControlPoint(vtk.vtkVector3d(*position)), name)


def _isSame(first: DrawnPoint, second: DrawnPoint) -> bool:
    return first[0] == second[0] and _near(first[1], second[1])


def _isPositive(step: Step) -> bool:
    return isinstance(step, TwoClick) or (isinstance(step, Click) and step.positive)


def _near(first: Any, second: Any) -> bool:
    return max(abs(a - b) for a, b in zip(first, second)) < 1e-6
