"""What is drawn of the landmarks: long axis, short axis, VLAS and the vertebral scale with a tick for each vertebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import vtk

from .landmarks import HEART_BOTTOM, HEART_LEFT, HEART_RIGHT, HEART_TOP, VERTEBRA_A, VERTEBRA_B, VLAS
from .scene_nodes import LandmarksError, pictureOf_, readPositions, vertebraeOf
from .volume_picture import gridOf

ROLE = "VHSAnalyzer.Line"
"""Role of the references from the landmarks to their lines, one after the other as in ``KINDS``."""

LINE_CLASS, SCALE_CLASS = "vtkMRMLMarkupsLineNode", "vtkMRMLMarkupsCurveNode"
KINDS = ("long axis", "short axis", "VLAS", "vertebral scale")
ENDS = {"long axis": (HEART_TOP, HEART_BOTTOM), "short axis": (HEART_RIGHT, HEART_LEFT), "VLAS": (HEART_TOP, VLAS)}
COLORS = {
    "long axis": (0.34, 0.71, 0.91),
    "short axis": (1.00, 0.45, 0.25),
    "VLAS": (0.87, 0.55, 0.80),
    "vertebral scale": (0.00, 0.85, 0.60),
}
"""Those of Okabe and Ito, which colour-blind people can tell apart, lightened for lines on a radiograph."""

TICK = 0.18
"""Half the length of a tick, in vertebrae."""

GLYPH_SCALE = 1.2
"""% of the view, as Slicer counts it; the lines' width is a part of it."""

NO_LABEL = " "
"""An empty label would be replaced by the node's name and a number."""


def scalePoints(first: npt.ArrayLike, last: npt.ArrayLike, vertebrae: int) -> npt.NDArray[np.float64]:
    """Path of the vertebral scale from A to B in the plane (N, 2): along the line, and over each tick on the way."""
    start, end = np.asarray(first, dtype=float), np.asarray(last, dtype=float)
    step = (end - start) / vertebrae
    across = np.array([-step[1], step[0]]) * TICK
    path = []
    for tick in range(vertebrae + 1):
        at = start + tick * step
        path += [at, at + across, at - across, at]
    return np.array(path)


def syncLines(landmarksNode: Any) -> None:
    """Make the lines fit the landmarks, touching only what differs; without whole landmarks they are taken away."""
    volume = pictureOf_(landmarksNode)
    try:
        positions = readPositions(landmarksNode)
    except LandmarksError:
        removeLines(landmarksNode)
        return
    if volume is None or volume.GetImageData() is None:
        return
    grid = gridOf(volume)
    for index, kind in enumerate(KINDS):
        if kind in ENDS:
            path = positions[list(ENDS[kind])]
        else:
            # In mm on the picture's plane, so that ticks are at right angles also where pixels are not square.
            flat = grid.toFractions(positions[[VERTEBRA_A, VERTEBRA_B]]) * grid.sizeMM
            path = grid.toRAS(scalePoints(flat[0], flat[1], vertebraeOf(landmarksNode)) / grid.sizeMM)
        _update(_line(landmarksNode, index, kind), path, landmarksNode)


def linesOf(landmarksNode: Any) -> dict[str, Any]:
    """The line nodes that there are, by kind."""
    nodes = ((kind, landmarksNode.GetNthNodeReference(ROLE, index)) for index, kind in enumerate(KINDS))
    return {kind: node for kind, node in nodes if node is not None}


def setVisible(landmarksNode: Any, visible: bool) -> None:
    """Show or hide landmarks with their lines."""
    for node in (landmarksNode, *linesOf(landmarksNode).values()):
        if node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(visible)


def removeLines(landmarksNode: Any) -> None:
    """Take the lines out of the scene."""
    for node in linesOf(landmarksNode).values():
        node.GetScene().RemoveNode(node)


def _line(landmarksNode: Any, index: int, kind: str) -> Any:
    """The node of a line, made when it is not there."""
    node = landmarksNode.GetNthNodeReference(ROLE, index)
    if node is not None:
        return node
    scene = landmarksNode.GetScene()
    isScale = kind not in ENDS
    node = scene.AddNewNodeByClass(SCALE_CLASS if isScale else LINE_CLASS, f"{_base(landmarksNode)} {kind}")
    node.SetLocked(True)
    node.SetHideFromEditors(False)
    if isScale:
        node.SetCurveTypeToLinear()
    node.CreateDefaultDisplayNodes()
    if node.GetDisplayNode() is not None:
        _style(node.GetDisplayNode(), kind)
    landmarksNode.SetNthNodeReferenceID(ROLE, index, node.GetID())
    return node


def _base(landmarksNode: Any) -> str:
    return str(landmarksNode.GetName()).replace(" landmarks", "")


def _style(display: Any, kind: str) -> None:
    display.SetSelectedColor(*COLORS[kind])
    display.SetColor(*COLORS[kind])
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetGlyphTypeFromString("Vertex2D")
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetCurveLineSizeMode(display.UseLineThickness)
    display.SetLineThickness(0.3)
    # By default a line changes its hue and opacity before and behind its slice.
    display.SetLineColorFadingHueOffset(0.0)
    display.SetLineColorFadingStart(1000.0)
    display.SetLineColorFadingEnd(1001.0)
    display.SetSliceProjection(False)


def _update(node: Any, path: npt.NDArray[np.float64], landmarksNode: Any) -> None:
    count = node.GetNumberOfControlPoints()
    if node.GetTransformNodeID() != landmarksNode.GetTransformNodeID():
        node.SetAndObserveTransformNodeID(landmarksNode.GetTransformNodeID())
    present = np.array([node.GetNthControlPointPosition(index) for index in range(count)])
    if present.shape == path.shape and np.allclose(present, path, rtol=0, atol=1e-9):
        return
    before = node.StartModify()
    if count == len(path):
        for index, position in enumerate(path):
            node.SetNthControlPointPosition(index, *[float(value) for value in position])
    else:
        node.RemoveAllControlPoints()
        for position in path:
            node.AddControlPoint(vtk.vtkVector3d(*position), NO_LABEL)
    node.EndModify(before)
