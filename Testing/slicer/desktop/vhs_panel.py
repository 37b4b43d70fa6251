"""The panel of the VHSAnalyzer module as a person uses it, for the tests in this folder."""

from __future__ import annotations

from typing import Any

import driving
import numpy as np
import slicer

from vhs_pictures import SAMPLE
from VHSAnalyzerLib.scene_nodes import landmarksOf

ANSWER_SECONDS = 90.0


class VHSPanel:
    """Opens the module."""

    def __init__(self) -> None:
        slicer.util.selectModule("VHSAnalyzer")
        self.widget = slicer.util.getModuleWidget("VHSAnalyzer")
        self.ui = self.widget.ui
        driving.pump(0.1)

    def connect(self) -> None:
        """Ask the server that the settings name, and wait until it answered."""
        self.widget.server.onTest()
        driving.waitUntil(lambda: self.widget.server.isUp, "the server", 30)
        driving.pump(0.05)

    def wait(self) -> None:
        """Wait until nothing runs any more."""
        driving.pump(0.05)
        driving.waitUntil(lambda: not self.widget.job.isBusy, "the work", ANSWER_SECONDS)
        driving.pump(0.2)

    def loadSample(self) -> Any:
        self.widget.load(str(SAMPLE))
        driving.pump(0.2)
        return self.widget.picture

    @property
    def node(self) -> Any:
        """The landmarks of the present picture."""
        return landmarksOf(self.widget.picture)

    @property
    def status(self) -> str:
        return self.widget.status.text

    @property
    def details(self) -> str:
        return str(self.ui.detailsLabel.text)

    def cell(self, row: int, column: int) -> str:
        return self.widget.result.text(row, column)

    def number(self, row: int, column: int) -> float:
        return float(self.cell(row, column))

    def position(self, index: int) -> np.ndarray:
        """World RAS of a landmark."""
        return np.array(self.node.GetNthControlPointPositionWorld(index))

    def drag(self, node: Any, index: int, target: Any, steps: int = 4) -> None:
        """Drag a control point with the mouse to a world RAS position."""
        start = np.array(node.GetNthControlPointPositionWorld(index))
        path = [start + (np.asarray(target) - start) * part for part in np.linspace(0, 1, steps + 1)]
        driving.move(start + 0.001)
        driving.move(start)
        driving.drag([*path, path[-1]])
        driving.pump(0.1)
