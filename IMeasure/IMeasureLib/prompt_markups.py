"""Prompts as markups in the views: drag one to move it, delete one with the Delete key or its context menu.

The nodes are a picture of a ``PromptHistory`` and not kept: the history itself lives in the segment's tag, so the nodes
are left out of saved scenes and made anew when they are shown again.
"""

from __future__ import annotations

from typing import Any, Callable

import slicer
import vtk

from .geometry import VolumeGeometry
from .prompts import Click, PenStroke, PromptError, PromptHistory, Step, TwoClick, withPoints
from .volume_access import geometryOf

ATTRIBUTE = "IMeasure.Prompts"
"""Node attribute that tells these nodes from a person's own markups."""

POSITIVE_COLOR = (0.25, 0.9, 0.35)
NEGATIVE_COLOR = (1.0, 0.3, 0.25)
GLYPH_SCALE = 2.2
"""% of the view, as Slicer counts it."""

PEN_GLYPH_SCALE = 1.0
PEN_LINE_THICKNESS = 0.25

Place = tuple[int, int]
"""(step, point) in the history."""


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
        self._nodes: list[Any] = []
        self._tags: list[tuple[Any, int]] = []
        self._visible = True

    @property
    def history(self) -> PromptHistory:
        """What is shown."""
        return self._history

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The markups nodes that show it."""
        return tuple(self._nodes)

    @property
    def isHovered(self) -> bool:
        """Whether the mouse is over a prompt, so that a press belongs to it."""
        return any(node.GetDisplayNode() and node.GetDisplayNode().GetActiveComponentType() for node in self._nodes)

    def show(self, history: PromptHistory, volumeNode: Any) -> None:
        """Show these prompts in the space of a volume (its parent transform included), instead of what was shown."""
        self.clear()
        self._history = history
        if not history.steps:
            return
        self._geometry = geometryOf(volumeNode)
        steps = list(enumerate(history.steps))
        clicks = [(index, step) for index, step in steps if not isinstance(step, PenStroke)]
        for positive, name, color in (
            (True, "include", POSITIVE_COLOR),
            (False, "exclude", NEGATIVE_COLOR),
        ):
            chosen = [(index, step) for index, step in clicks if _isPositive(step) is positive]
            if chosen:
                self._addPoints(name, color, chosen, volumeNode)
        for index, step in steps:
            if isinstance(step, PenStroke):
                self._addStroke(index, step, volumeNode)

    def setVisible(self, visible: bool) -> None:
        """Show or hide the prompts, now and later."""
        self._visible = visible
        for node in self._nodes:
            node.GetDisplayNode().SetVisibility(visible)

    def clear(self) -> None:
        """Take the prompts out of the views."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        for node in self._nodes:
            if node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._tags, self._nodes = [], []
        self._history, self._geometry = PromptHistory(), None

    def _addPoints(self, name: str, color: Any, steps: list[tuple[int, Step]], volumeNode: Any) -> None:
        node = self._addNode("vtkMRMLMarkupsFiducialNode", f"IMeasure {name}", color, volumeNode)
        display = node.GetDisplayNode()
        display.SetGlyphTypeFromString("CrossDot2D" if name == "exclude" else "Sphere3D")
        display.SetGlyphScale(GLYPH_SCALE)
        for index, step in steps:
            for point, position in enumerate(step.points):
                self._addPoint(node, position, (index, point))
        self._observe(node)

    def _addStroke(self, index: int, stroke: PenStroke, volumeNode: Any) -> None:
        node = self._addNode("vtkMRMLMarkupsClosedCurveNode", "IMeasure pen", POSITIVE_COLOR, volumeNode)
        node.SetCurveTypeToLinear()
        display = node.GetDisplayNode()
        display.SetGlyphScale(PEN_GLYPH_SCALE)
        display.SetCurveLineSizeMode(display.UseLineThickness)
        display.SetLineThickness(PEN_LINE_THICKNESS)
        for point, position in enumerate(stroke.points):
            self._addPoint(node, position, (index, point))
        self._observe(node)

    def _addNode(self, className: str, name: str, color: Any, volumeNode: Any) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetAttribute(ATTRIBUTE, "1")
        node.SetSaveWithScene(False)
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        display.SetVisibility(self._visible)
        self._nodes.append(node)
        return node

    def _addPoint(self, node: Any, position: Any, place: Place) -> None:
        index = node.AddControlPoint(vtk.vtkVector3d(*position))
        # How a point is known again after others were deleted.
        node.SetNthControlPointDescription(index, f"{place[0]}.{place[1]}")

    def _observe(self, node: Any) -> None:
        for event in (node.PointEndInteractionEvent, node.PointRemovedEvent):
            self._tags.append((node, node.AddObserver(event, lambda *_: self._edited())))

    def _edited(self) -> None:
        history = self._read()
        if history != self._history:
            self._onEdited(history)

    def _read(self) -> PromptHistory:
        """The history as the nodes show it now."""
        left: dict[int, dict[int, Any]] = {}
        for node in self._nodes:
            for index in range(node.GetNumberOfControlPoints()):
                step, point = (int(part) for part in node.GetNthControlPointDescription(index).split("."))
                left.setdefault(step, {})[point] = tuple(node.GetNthControlPointPosition(index))
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


def _isPositive(step: Step) -> bool:
    return isinstance(step, TwoClick) or (isinstance(step, Click) and step.positive)


def _near(first: Any, second: Any) -> bool:
    return max(abs(a - b) for a, b in zip(first, second)) < 1e-6
