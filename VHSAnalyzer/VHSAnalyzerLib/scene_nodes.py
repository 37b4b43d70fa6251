"""A measurement in the scene: a fiducial list of seven landmarks that carries the model's answer beside them.

The list is the truth: its control points are the landmarks as they are now; the model's own answer is an attribute that
is never changed by moving them. Lines and scale (``axes``) are a picture of the list. All is saved with the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
import vtk

from .answers import Answer, AnswerError
from .landmarks import DESCRIPTIONS, LANDMARK_NAMES, Points
from .measurement import Measurement, measure
from .picture import PictureError
from .score import VERTEBRAE
from .volume_picture import PictureGrid, gridOf

CLASS = "vtkMRMLMarkupsFiducialNode"
KIND_ATTRIBUTE = "VHSAnalyzer.Landmarks"
ANSWER_ATTRIBUTE = "VHSAnalyzer.Answer"
VERTEBRAE_ATTRIBUTE = "VHSAnalyzer.Vertebrae"
PATIENT_ATTRIBUTE = "VHSAnalyzer.PatientId"
BREED_ATTRIBUTE = "VHSAnalyzer.Breed"
"""The last two are attributes of the picture's volume."""

PICTURE_ROLE = "VHSAnalyzer.Picture"
COLOR = (1.0, 0.85, 0.2)
ACTIVE_COLOR = (0.3, 1.0, 0.5)
TEXT_SCALE, GLYPH_SCALE = 2.6, 1.6


class LandmarksError(ValueError):
    """A node does not hold the seven landmarks; the message says what is wrong."""


def landmarksOf(volumeNode: Any) -> Any:
    """The landmarks of a picture, None when it has none."""
    if volumeNode is None or volumeNode.GetScene() is None:
        return None
    return next((node for node in allLandmarks(volumeNode.GetScene()) if pictureOf_(node) is volumeNode), None)


def allLandmarks(scene: Any) -> list[Any]:
    """Every list of landmarks in a scene."""
    nodes = [scene.GetNthNodeByClass(index, CLASS) for index in range(scene.GetNumberOfNodesByClass(CLASS))]
    return [node for node in nodes if isLandmarks(node)]


def isLandmarks(node: Any) -> bool:
    """Whether a node is a list of landmarks that this module made."""
    return bool(node is not None and node.IsA(CLASS) and node.GetAttribute(KIND_ATTRIBUTE) == "1")


def pictureOf_(landmarksNode: Any) -> Any:
    """The volume that landmarks belong to, None when it is gone."""
    return landmarksNode.GetNodeReference(PICTURE_ROLE)


def makeLandmarks(volumeNode: Any, points: Points) -> Any:
    """New landmarks of a picture; ``points`` as fractions of it. PictureError when it is none."""
    grid = gridOf(volumeNode)
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass(CLASS, f"{volumeNode.GetName()} VHS landmarks")
    node.SetAttribute(KIND_ATTRIBUTE, "1")
    node.SetNodeReferenceID(PICTURE_ROLE, volumeNode.GetID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        _style(display)
    writePoints(node, points, grid)
    if hasattr(node, "SetFixedNumberOfControlPoints"):
        node.SetFixedNumberOfControlPoints(True)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    _placeBeside(node, volumeNode)
    return node


def _style(display: Any) -> None:
    display.SetSelectedColor(*COLOR)
    display.SetColor(*COLOR)
    display.SetActiveColor(*ACTIVE_COLOR)
    display.SetGlyphTypeFromString("CrossDot2D")
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetTextScale(TEXT_SCALE)
    display.SetPointLabelsVisibility(True)
    display.SetPropertiesLabelVisibility(False)
    # The picture is one slice: a landmark a trifle beside it in depth is still the same landmark.
    display.SetSliceProjection(True)
    display.SetSliceProjectionUseFiducialColor(True)
    display.SetSliceProjectionOpacity(1.0)
    if hasattr(display, "SetSnapMode"):
        display.SetSnapMode(display.SnapModeUnconstrained)


def _placeBeside(node: Any, volumeNode: Any) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    if hierarchy is None:
        return
    item, volumeItem = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volumeNode)
    if slicer.vtkMRMLSubjectHierarchyNode.GetInvalidItemID() not in (item, volumeItem):
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))


@contextmanager
def _modifying(node: Any) -> Iterator[None]:
    before = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(before)


def writePoints(node: Any, points: Points, grid: PictureGrid) -> None:
    """Put the landmarks where they belong, in the contract's order and with its names."""
    positions = grid.toRAS(points)
    with _modifying(node):
        if node.GetNumberOfControlPoints() != len(LANDMARK_NAMES):
            if hasattr(node, "SetFixedNumberOfControlPoints"):
                node.SetFixedNumberOfControlPoints(False)
            node.RemoveAllControlPoints()
            for position, name, words in zip(positions, LANDMARK_NAMES, DESCRIPTIONS):
                index = node.AddControlPoint(vtk.vtkVector3d(*position), name)
                node.SetNthControlPointDescription(index, words)
            return
        for index, position in enumerate(positions):
            node.SetNthControlPointPosition(index, *[float(value) for value in position])


def readPositions(node: Any) -> np.ndarray[Any, Any]:
    """(7, 3) local RAS in the contract's order, whatever the order in the list.

    Raises:
        LandmarksError: a landmark is missing, there twice, or not placed.
    """
    found: dict[str, list[float]] = {}
    for index in range(node.GetNumberOfControlPoints()):
        name = node.GetNthControlPointLabel(index)
        if name not in LANDMARK_NAMES:
            continue
        if name in found:
            raise LandmarksError(f"{node.GetName()} has the landmark {name} twice.")
        if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
            raise LandmarksError(f"The landmark {name} of {node.GetName()} is not placed.")
        found[name] = list(node.GetNthControlPointPosition(index))
    missing = [name for name in LANDMARK_NAMES if name not in found]
    if missing:
        raise LandmarksError(f"{node.GetName()} lacks the landmarks {', '.join(missing)}.")
    return np.array([found[name] for name in LANDMARK_NAMES])


def storeAnswer(node: Any, answer: Answer | None) -> None:
    """Keep the model's answer with the landmarks; None for landmarks that a person placed."""
    node.SetAttribute(ANSWER_ATTRIBUTE, None if answer is None else answer.toJSON())


def readAnswer(node: Any) -> Answer | None:
    """The model's answer that landmarks, or a picture without any, carry.

    None when there is none or it cannot be read: landmarks placed by hand stay usable.
    """
    text = node.GetAttribute(ANSWER_ATTRIBUTE)
    if not text:
        return None
    try:
        return Answer.fromJSON(text)
    except AnswerError:
        return None


def storeEmptyAnswer(volumeNode: Any, answer: Answer | None) -> None:
    """Keep an answer that has no landmarks (rejected, say) with its picture; None to forget it."""
    volumeNode.SetAttribute(ANSWER_ATTRIBUTE, None if answer is None else answer.toJSON())


def vertebraeOf(node: Any) -> int:
    """How many vertebrae the line A–B of these landmarks spans."""
    text = node.GetAttribute(VERTEBRAE_ATTRIBUTE) or ""
    return int(text) if text.isdigit() and int(text) > 0 else VERTEBRAE


def setVertebrae(node: Any, count: int) -> None:
    """ValueError when ``count`` is not positive."""
    if count < 1:
        raise ValueError("The number of vertebrae must be positive.")
    if vertebraeOf(node) != count or not node.GetAttribute(VERTEBRAE_ATTRIBUTE):
        node.SetAttribute(VERTEBRAE_ATTRIBUTE, str(int(count)))


def readMeasurement(node: Any, vertebrae: float | None = None) -> Measurement:
    """The model's answer and the landmarks as they are now.

    Raises:
        LandmarksError, PictureError: the list is not whole, or its picture is gone.
    """
    volume = pictureOf_(node)
    if volume is None:
        raise PictureError("The picture of these landmarks is no longer in the scene.")
    grid = gridOf(volume)
    points = grid.toFractions(readPositions(node))
    return measure(readAnswer(node), points, grid.sizeMM, vertebrae if vertebrae is not None else vertebraeOf(node))
