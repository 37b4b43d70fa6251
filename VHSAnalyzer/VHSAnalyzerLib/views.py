"""The picture fills one slice view, the right way up, mirrored if wanted. Needs the layout manager."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from .volume_picture import PictureGrid, gridOf

VIEW = "Red"


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
    node.UpdateMatrices()
    logic.FitSliceToBackground()
    orient(node, grid, volumeNode, mirrored)


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
