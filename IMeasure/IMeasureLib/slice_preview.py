"""What the mouse has drawn so far in a slice view, before anything is sent: a few dots and one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

COLOR = (1.0, 0.85, 0.2)
LINE_WIDTH = 2.0
DOT_SIZE = 7.0


class SlicePreview:
    """Dots and a line on top of one slice view, in world (RAS) coordinates; follows zoom and pan on ``update``.

    Nothing of it is in the scene, so that nothing has to be undone when the person changes their mind.
    """

    def __init__(self, sliceWidget: Any) -> None:
        self._sliceWidget = sliceWidget
        self._points = np.zeros((0, 3))
        self._polyData = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._polyData)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*COLOR)
        self._actor.GetProperty().SetLineWidth(LINE_WIDTH)
        self._actor.GetProperty().SetPointSize(DOT_SIZE)
        self._actor.VisibilityOff()
        self._renderer = sliceWidget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()
        self._renderer.AddViewProp(self._actor)

    def show(
        self,
        points: npt.ArrayLike,
        *,
        closed: bool = False,
        dots: bool = False,
        color: tuple[float, float, float] | None = None,
        width: float = 0.0,
    ) -> None:
        """Draw a line through points (RAS, mm); with ``dots``, its points too; none hides it.

        Args:
            color: red, green, blue in 0 to 1.
            width: of the line, mm; 0 for a thin one. A wide line has round ends.
        """
        self._points = np.asarray(points, dtype=float).reshape(-1, 3)
        count = len(self._points)
        pixels = width / self._millimetresPerPixel()
        isWide = pixels > LINE_WIDTH
        self._actor.GetProperty().SetColor(*(color or COLOR))
        self._actor.GetProperty().SetLineWidth(pixels if isWide else LINE_WIDTH)
        self._actor.GetProperty().SetPointSize(pixels if isWide else DOT_SIZE)
        lines, vertices = vtk.vtkCellArray(), vtk.vtkCellArray()
        if count > 1:
            ends = [*range(count), 0] if closed else range(count)
            lines.InsertNextCell(len(ends))
            for index in ends:
                lines.InsertCellPoint(index)
        if dots or isWide:
            for index in range(count):
                vertices.InsertNextCell(1)
                vertices.InsertCellPoint(index)
        self._polyData.SetLines(lines)
        self._polyData.SetVerts(vertices)
        self._actor.SetVisibility(bool(count))
        self.update()

    def _millimetresPerPixel(self) -> float:
        xyToRas = slicer.util.arrayFromVTKMatrix(self._sliceWidget.mrmlSliceNode().GetXYToRAS())
        return float(np.linalg.norm(xyToRas[:3, 0]))

    def update(self) -> None:
        """Place the drawing again, after the view was zoomed, panned or resized."""
        rasToXy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(self._sliceWidget.mrmlSliceNode().GetXYToRAS()))
        points = vtk.vtkPoints()
        for point in self._points:
            x, y, _, _ = rasToXy @ np.append(point, 1.0)
            points.InsertNextPoint(x, y, 0.0)
        self._polyData.SetPoints(points)
        self._polyData.Modified()
        self._sliceWidget.sliceView().scheduleRender()

    def remove(self) -> None:
        """Take the drawing off the view for good."""
        self._renderer.RemoveViewProp(self._actor)
        self._sliceWidget.sliceView().scheduleRender()
