"""The picture fills one slice view, the right way up, mirrored if wanted. Needs the layout manager."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from .volume_picture import PictureGrid, gridOf

VIEW = "Red"
MARGIN = 1.02
SAME_SCALE = 0.01
PLOT_LAYOUT = 7395
"""A number that no other layout has."""

PLOT_DESCRIPTION = """
<layout type="vertical" split="true">
 <item splitSize="600"><view class="vtkMRMLSliceNode" singletontag="Red">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">R</property><property name="viewcolor" action="default">#F34A33</property>
 </view></item>
 <item splitSize="400"><view class="vtkMRMLPlotViewNode" singletontag="PlotView1">
  <property name="viewlabel" action="default">P</property></view></item>
</layout>
"""


class PictureView:
    """Shows a picture in the slice view, and keeps it filling the view while a person has not zoomed."""

    def __init__(self) -> None:
        self._grid: PictureGrid | None = None
        self._volumeId = ""
        self._sliceNode: Any = None
        self._tag = 0
        self._dimensions: tuple[int, int] = (0, 0)
        self._tall = 0.0

    def show(self, volumeNode: Any, mirrored: bool = False) -> None:
        """One slice view with the picture in it; does nothing where there are no views.

        Raises:
            PictureError: it is no picture.
        """
        grid = gridOf(volumeNode)
        self.stop()
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
        self._grid, self._volumeId, self._sliceNode = grid, volumeNode.GetID(), logic.GetSliceNode()
        orient(self._sliceNode, grid, volumeNode, mirrored)
        self._fit()
        self._tag = self._sliceNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)

    def stop(self) -> None:
        """Leave the view alone from now on."""
        if self._sliceNode is not None and self._tag:
            self._sliceNode.RemoveObserver(self._tag)
        self._tag, self._sliceNode, self._grid = 0, None, None

    def _fit(self) -> None:
        """Make the whole picture fill the view."""
        width, height, depth = self._sliceNode.GetDimensions()
        self._dimensions = (width, height)
        if width < 1 or height < 1 or self._grid is None:
            return
        pixel = max(self._grid.sizeMM[0] / width, self._grid.sizeMM[1] / height) * MARGIN
        self._tall = pixel * height
        self._sliceNode.SetXYZOrigin(0.0, 0.0, 0.0)
        self._sliceNode.SetFieldOfView(pixel * width, self._tall, pixel * max(depth, 1))

    def _onModified(self, caller: Any, event: str) -> None:
        """The view was resized. Slicer keeps how many millimetres it is high: another number is a person's zoom."""
        width, height, _ = caller.GetDimensions()
        if (width, height) == self._dimensions or width < 1 or height < 1:
            return
        self._dimensions = (width, height)
        logic = slicer.app.layoutManager().sliceWidget(VIEW).sliceLogic()
        isOurs = logic.GetSliceCompositeNode().GetBackgroundVolumeID() == self._volumeId
        if isOurs and abs(caller.GetFieldOfView()[1] / self._tall - 1) < SAME_SCALE:
            self._fit()


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


def isPlotShown() -> bool:
    """Whether the views are those of ``showPlot``."""
    manager = slicer.app.layoutManager()
    return manager is not None and manager.layout == PLOT_LAYOUT


def showPlot(chartNode: Any) -> None:
    """The picture with a chart below it."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    layoutNode = manager.layoutLogic().GetLayoutNode()
    if not layoutNode.IsLayoutDescription(PLOT_LAYOUT):
        layoutNode.AddLayoutDescription(PLOT_LAYOUT, PLOT_DESCRIPTION)
    manager.setLayout(PLOT_LAYOUT)
    plot = manager.plotWidget(0)
    if plot is not None:
        plot.mrmlPlotViewNode().SetPlotChartNodeID(chartNode.GetID())
