"""Points and closed lines as markups that a person may move and delete: a picture of what is kept elsewhere.

The nodes are left out of saved scenes and of undo; whoever keeps the truth makes them anew by ``show``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

import slicer
import vtk

Point = tuple[float, float, float]
DrawnPoint = tuple[str, Point]
"""(name, position in the volume's own RAS): the name is how a point is known again after others were deleted."""

GLYPH_SCALE = 2.6
"""% of the view, as Slicer counts it."""

CURVE_GLYPH_SCALE = 1.0
CURVE_LINE_THICKNESS = 0.25
PROJECTION_OPACITY = 0.35
CURVE_PIECES = 400


@dataclass(frozen=True)
class Drawing:
    """What one markups node shows.

    Attributes:
        points: control points, in order.
        color: red, green, blue in 0 to 1.
        isCurve: a line through the points, and not only the points.
        isClosed: whether the line goes back to the first point.
        glyph: Slicer's name of the form of the points.
        isProjected: points of other slices are shown, too, pale.
    """

    points: tuple[DrawnPoint, ...]
    color: tuple[float, float, float]
    isCurve: bool = False
    isClosed: bool = True
    glyph: str = ""
    isProjected: bool = False


class MarkupDrawing:
    """The nodes of a drawing.

    Args:
        attribute: node attribute that tells these nodes from a person's own markups.
        title: in front of the nodes' names.
        onEdited: called when a person has moved or deleted a point, from within Slicer's own event handling.
    """

    def __init__(self, attribute: str, title: str, onEdited: Callable[[], None]) -> None:
        self._attribute, self._title, self._onEdited = attribute, title, onEdited
        self._nodes: dict[str, Any] = {}
        self._tags: list[tuple[Any, int]] = []
        self._visible = True
        self._isDrawing = False

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The markups nodes that show it."""
        return tuple(self._nodes.values())

    @property
    def isHovered(self) -> bool:
        """Whether the mouse is over a point or a line, so that a press belongs to it."""
        displays = [node.GetDisplayNode() for node in self._nodes.values()]
        return any(display is not None and display.GetActiveComponentType() for display in displays)

    def positions(self) -> dict[str, Point]:
        """Name of each point that is left → where it is now."""
        left: dict[str, Point] = {}
        for node in self._nodes.values():
            for index in range(node.GetNumberOfControlPoints()):
                position = node.GetNthControlPointPosition(index)
                left[node.GetNthControlPointDescription(index)] = (position[0], position[1], position[2])
        return left

    def show(self, drawings: Mapping[str, Drawing], volumeNode: Any) -> None:
        """Show these, by key, in the space of a volume (its parent transform included), and nothing else."""
        self._isDrawing = True
        try:
            for key in [key for key, node in self._nodes.items() if key not in drawings or node.GetScene() is None]:
                self._remove(key)
            for key, drawing in drawings.items():
                # Making a node costs far more than changing one: what there is is kept.
                node = self._nodes.get(key) or self._addNode(key, drawing)
                if node.GetTransformNodeID() != volumeNode.GetTransformNodeID():
                    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
                _setPoints(node, drawing.points)
        finally:
            self._isDrawing = False

    def setVisible(self, visible: bool) -> None:
        """Show or hide the nodes, now and later."""
        self._visible = visible
        for node in self._nodes.values():
            node.GetDisplayNode().SetVisibility(visible)

    def clear(self) -> None:
        """Take the nodes out of the scene."""
        self._isDrawing = True
        try:
            for key in list(self._nodes):
                self._remove(key)
        finally:
            self._isDrawing = False

    def _remove(self, key: str) -> None:
        node = self._nodes.pop(key)
        for observed, tag in self._tags:
            if observed is node:
                node.RemoveObserver(tag)
        self._tags = [(observed, tag) for observed, tag in self._tags if observed is not node]
        if node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(node)

    def _addNode(self, key: str, drawing: Drawing) -> Any:
        curve = "ClosedCurve" if drawing.isClosed else "Curve"
        className = curve if drawing.isCurve else "Fiducial"
        node = slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{className}Node", f"{self._title} {key}")
        node.SetAttribute(self._attribute, "1")
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*drawing.color)
        display.SetColor(*drawing.color)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        display.SetVisibility(self._visible)
        display.SetGlyphScale(CURVE_GLYPH_SCALE if drawing.isCurve else GLYPH_SCALE)
        if drawing.isCurve:
            node.SetCurveTypeToLinear()
            # Slicer leaves out the pieces next to the control points in slice views: they have to be short.
            node.SetNumberOfPointsPerInterpolatingSegment(max(10, CURVE_PIECES // len(drawing.points)))
            display.SetCurveLineSizeMode(display.UseLineThickness)
            display.SetLineThickness(CURVE_LINE_THICKNESS)
        if drawing.glyph:
            display.SetGlyphTypeFromString(drawing.glyph)
        if drawing.isProjected:
            display.SetSliceProjection(True)
            display.SetSliceProjectionUseFiducialColor(True)
            display.SetSliceProjectionOpacity(PROJECTION_OPACITY)
        self._nodes[key] = node
        for event in (node.PointEndInteractionEvent, node.PointRemovedEvent):
            self._tags.append((node, node.AddObserver(event, lambda *_: self._edited())))
        return node

    def _edited(self) -> None:
        if not self._isDrawing:
            self._onEdited()


def isNear(first: Any, second: Any) -> bool:
    """Whether two positions are one but for the last digits, which the way through a node may change."""
    return bool(max(abs(a - b) for a, b in zip(first, second)) < 1e-6)


def _setPoints(node: Any, points: tuple[DrawnPoint, ...]) -> None:
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
    return first[0] == second[0] and isNear(first[1], second[1])
