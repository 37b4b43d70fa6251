"""The picture fills one slice view, the right way up, mirrored if wanted. Needs the layout manager."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from .volume_picture import PictureGrid, gridOf

VIEW = "Red"
MARGIN = 1.02


def showPicture(volumeNode: Any, mirrored: bool = False) -> None:
    """One slice view with the picture in it; does nothing where there are no views.

    Raises:
        PictureError: it is no picture.
    """
    grid = gridOf(volumeNode)
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    if manager.layout != layout:
        manager.setLayout(layout)
    logic = manager.sliceWidget(VIEW).sliceLogic()
    composite = logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(volumeNode.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    node = logic.GetSliceNode()
    orient(node, grid, volumeNode, mirrored)
    fit(node, grid)


def fit(sliceNode: Any, grid: PictureGrid) -> None:
    """Make the whole picture fill the view."""
    width, height, depth = sliceNode.GetDimensions()
    if width < 1 or height < 1:
        return
    pixel = max(grid.sizeMM[0] / width, grid.sizeMM[1] / height) * MARGIN
    sliceNode.SetFieldOfView(pixel * width, pixel * height, max(pixel, 1e-6) * max(depth, 1))
    sliceNode.SetXYZOrigin(0.0, 0.0, 0.0)
    sliceNode.UpdateMatrices()


def refit(volumeNode: Any) -> None:
    """Once more when a new layout has its size; does nothing where another volume is shown meanwhile."""
    manager = slicer.app.layoutManager()
    if manager is None or volumeNode.GetScene() is None:
        return
    logic = manager.sliceWidget(VIEW).sliceLogic()
    if logic.GetSliceCompositeNode().GetBackgroundVolumeID() == volumeNode.GetID():
        fit(logic.GetSliceNode(), gridOf(volumeNode))


def orient(sliceNode: Any, grid: PictureGrid, volumeNode: Any, mirrored: bool) -> None:
    """Look straight at the picture: its columns to the right (mirrored: to the left), its rows downwards."""
    toWorld = vtk.vtkMatrix4x4()
    transform = volumeNode.GetParentTransformNode()
    if transform is not None:
        transform.GetMatrixTransformToWorld(toWorld)
    matrix = np.array([[toWorld.GetElement(row, column) for column in range(4)] for row in range(4)])
    right = matrix[:3, :3] @ grid.xStep
    up = -(matrix[:3, :3] @ grid.yStep)
    right, up = right / np.linalg.norm(right), up / np.linalg.norm(up)
    if mirrored:
        right = -right
    normal = np.cross(right, up)
    middle = matrix @ np.append(grid.toRAS([[0.5, 0.5]])[0], 1.0)
    sliceToRAS = sliceNode.GetSliceToRAS()
    for row in range(3):
        for column, axis in enumerate((right, up, normal)):
            sliceToRAS.SetElement(row, column, float(axis[row]))
        sliceToRAS.SetElement(row, 3, float(middle[row]))
    sliceNode.UpdateMatrices()


def showPlot(chartNode: Any) -> None:
    """A slice view with the chart below it."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
    plot = manager.plotWidget(0)
    if plot is not None:
        plot.mrmlPlotViewNode().SetPlotChartNodeID(chartNode.GetID())
