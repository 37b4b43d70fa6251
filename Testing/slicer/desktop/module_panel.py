"""The panel of the IMeasure module as a person uses it, for the tests in this folder."""

from __future__ import annotations

from typing import Any

import driving
import numpy as np
import qt
import slicer

NAME_COLUMN, EYE_COLUMN = 2, 0
MASS = np.array([-66.6, -85.8, 622.8])
"""RAS mm: the middle of the mass in the sample CT."""

MUSCLE = np.array([-115.6, -69.8, 622.8])
"""RAS mm: a muscle beside it."""

ANSWER_SECONDS = 60.0


def mm(right: float, anterior: float, superior: float) -> np.ndarray:
    """A way to go in RAS mm."""
    return np.array([right, anterior, superior])


class ModulePanel:
    """Opens the module and waits for its server."""

    def __init__(self, volume: Any = None) -> None:
        slicer.util.selectModule("IMeasure")
        self.widget = slicer.util.getModuleWidget("IMeasure")
        self.ui = self.widget.ui
        if volume is not None:
            self.widget._parameterNode.inputVolume = volume
            driving.jumpTo(MASS)
        driving.pump(0.1)

    def connect(self) -> None:
        """Ask the server that the settings name, and wait until it answered."""
        self.widget.server.onTest()
        driving.waitUntil(lambda: self.widget.server.isUp, "the server", 20)
        driving.pump(0.05)

    def waitForAnswer(self) -> None:
        """Wait until nothing is asked of the server any more."""
        driving.waitUntil(lambda: not self.widget.queue.isBusy, "the answer", ANSWER_SECONDS)
        driving.pump(0.1)

    def click(self, ras: Any, **how: Any) -> None:
        """Click in a slice view and wait for what comes of it."""
        driving.click(ras, **how)
        self.waitForAnswer()

    @property
    def status(self) -> str:
        return self.widget.status.text

    @property
    def findings(self) -> list[Any]:
        """The findings that the table shows."""
        return [reference.finding for reference in self.widget._references]

    @property
    def names(self) -> list[str]:
        """What the table's name column says."""
        table = self.ui.findingsTable
        return [table.item(row, NAME_COLUMN).text() for row in range(table.rowCount)]

    def cell(self, row: int, column: int) -> str:
        return str(self.ui.findingsTable.item(row, column).text())

    def clickRow(self, row: int, column: int = NAME_COLUMN) -> None:
        """Click a cell of the table with the mouse."""
        table = self.ui.findingsTable
        rect = table.visualItemRect(table.item(row, column))
        position = qt.QPointF(rect.center())
        viewport = table.viewport()
        screen = qt.QPointF(viewport.mapToGlobal(rect.center()))
        left, none = qt.Qt.LeftButton, qt.Qt.NoButton
        for kind, buttons in ((qt.QEvent.MouseButtonPress, left), (qt.QEvent.MouseButtonRelease, none)):
            event = qt.QMouseEvent(kind, position, screen, left, buttons, qt.Qt.NoModifier)
            slicer.app.sendEvent(viewport, event)
        driving.pump(0.1)

    def maskHolds(self, finding: int, ras: Any) -> bool:
        """Whether the mask of a finding holds the voxel of the input volume at a RAS position."""
        reference = self.widget._references[finding]
        array = slicer.util.arrayFromSegmentBinaryLabelmap(
            reference.segmentationNode, reference.segmentId, self.widget.volume
        )
        rasToIjk = np.linalg.inv(slicer.util.arrayFromVTKMatrix(_ijkToRas(self.widget.volume)))
        i, j, k = np.floor((rasToIjk @ np.append(ras, 1.0))[:3] + 0.5).astype(int)
        return bool(array[k, j, i])


def _ijkToRas(volume: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix
