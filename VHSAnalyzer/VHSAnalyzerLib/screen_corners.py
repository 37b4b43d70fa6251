"""The four corners of a screen in a photo, as a closed curve that can be dragged; and the flat picture as a volume."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import vtk

from .scene_nodes import BREED_ATTRIBUTE, PATIENT_ATTRIBUTE
from .volume_picture import SPACING_KNOWN_ATTRIBUTE, gridOf

CLASS = "vtkMRMLMarkupsClosedCurveNode"
KIND_ATTRIBUTE = "VHSAnalyzer.Corners"
PHOTO_ROLE = "VHSAnalyzer.Photo"
LABELS = ("TL", "TR", "BR", "BL")
WHOLE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
MARGIN = 0.04
"""Corners that nobody found begin this far inside the picture, where they can be grasped."""

COLOR = (0.2, 0.9, 1.0)


class CornersError(ValueError):
    """Four corners cannot be those of a screen; the message says why."""


def cornersOf(volumeNode: Any) -> Any:
    """The corners that belong to a photo, None when there are none."""
    if volumeNode is None or volumeNode.GetScene() is None:
        return None
    nodes = allCorners(volumeNode.GetScene())
    return next((node for node in nodes if node.GetNodeReference(PHOTO_ROLE) is volumeNode), None)


def allCorners(scene: Any) -> list[Any]:
    """The corners of all photos in a scene."""
    nodes = [scene.GetNthNodeByClass(index, CLASS) for index in range(scene.GetNumberOfNodesByClass(CLASS))]
    return [node for node in nodes if node.GetAttribute(KIND_ATTRIBUTE) == "1"]


def showCorners(volumeNode: Any, fractions: npt.ArrayLike | None) -> Any:
    """Put corners on a photo: (4, 2) TL, TR, BR, BL as fractions of it; None for the picture's own, a little inside."""
    if fractions is None:
        fractions = WHOLE * (1 - 2 * MARGIN) + MARGIN
    positions = gridOf(volumeNode).toRAS(fractions)
    scene = volumeNode.GetScene()
    node = cornersOf(volumeNode)
    if node is None:
        node = scene.AddNewNodeByClass(CLASS, f"{volumeNode.GetName()} screen corners")
        node.SetAttribute(KIND_ATTRIBUTE, "1")
        node.SetNodeReferenceID(PHOTO_ROLE, volumeNode.GetID())
        node.SetCurveTypeToLinear()
        node.CreateDefaultDisplayNodes()
        if node.GetDisplayNode() is not None:
            _style(node.GetDisplayNode())
    before = node.StartModify()
    node.RemoveAllControlPoints()
    for position, label in zip(positions, LABELS):
        node.AddControlPoint(vtk.vtkVector3d(*position), label)
    node.EndModify(before)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return node


def _style(display: Any) -> None:
    display.SetSelectedColor(*COLOR)
    display.SetColor(*COLOR)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetGlyphTypeFromString("CrossDot2D")
    display.SetGlyphScale(2.5)
    display.SetTextScale(3.0)
    display.SetCurveLineSizeMode(display.UseLineThickness)
    display.SetLineThickness(0.3)
    display.SetLineColorFadingHueOffset(0.0)


def readCorners(cornersNode: Any, volumeNode: Any) -> npt.NDArray[np.float64]:
    """(4, 2) corners as fractions of the photo, TL, TR, BR, BL.

    Raises:
        CornersError: there are not four, or they make no convex quadrilateral.
    """
    count = cornersNode.GetNumberOfControlPoints()
    if count != len(LABELS):
        raise CornersError(f"A screen has four corners; there are {count}.")
    positions = [cornersNode.GetNthControlPointPosition(index) for index in range(count)]
    corners = gridOf(volumeNode).toFractions(positions)
    if not isConvex(corners):
        raise CornersError("The corners cross over. Put TL, TR, BR and BL at the screen's corners, in that order.")
    return corners


def isConvex(corners: npt.ArrayLike) -> bool:
    """Whether four corners, clockwise on the screen (y down), make a convex quadrilateral of some size."""
    points = np.asarray(corners, dtype=float)
    sides = np.roll(points, -1, axis=0) - points
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    return bool((turns > 1e-5).all())


def volumeFromJPEG(scene: Any, content: bytes, photoNode: Any) -> Any:
    """The straightened picture as a new volume; patient and breed are those of the photo.

    Raises:
        CornersError: the server's file is no picture.
    """
    image = _decoded(content)
    if image is None or min(image.GetDimensions()[:2]) < 2:
        raise CornersError("The server's straightened picture cannot be read.")
    flip = vtk.vtkImageFlip()  # VTK reads rows from below
    flip.SetInputData(image)
    flip.SetFilteredAxis(1)
    flip.Update()
    isColor = image.GetNumberOfScalarComponents() >= 3
    className = "vtkMRMLVectorVolumeNode" if isColor else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(className, f"{photoNode.GetName()} straightened")
    node.SetAndObserveImageData(flip.GetOutput())
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(SPACING_KNOWN_ATTRIBUTE, "0")
    for attribute in (PATIENT_ATTRIBUTE, BREED_ATTRIBUTE):
        node.SetAttribute(attribute, photoNode.GetAttribute(attribute))
    node.SetNodeReferenceID(PHOTO_ROLE, photoNode.GetID())
    return node


def _decoded(content: bytes) -> Any:
    """vtkImageData of a JPEG file, None when it is none; by a file, as VTK's versions differ in memory."""
    if content[:2] != b"\xff\xd8":
        return None
    with tempfile.TemporaryDirectory(prefix="VHSAnalyzer-") as folder:
        path = Path(folder) / "straightened.jpg"
        path.write_bytes(content)
        reader = vtk.vtkJPEGReader()
        reader.SetFileName(str(path))
        reader.Update()
        return reader.GetOutput()


def removeCorners(volumeNode: Any) -> None:
    """Take the corners out of the scene."""
    node = cornersOf(volumeNode)
    if node is not None:
        node.GetScene().RemoveNode(node)
