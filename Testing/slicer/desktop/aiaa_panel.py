"""The panel of the AIAAClient module as a person uses it, for the tests in this folder."""

from __future__ import annotations

from typing import Any

import driving
import qt
import slicer

ANSWER_SECONDS = 120.0


class AIAAPanel:
    """Opens the module."""

    def __init__(self) -> None:
        slicer.util.selectModule("AIAAClient")
        self.widget = slicer.util.getModuleWidget("AIAAClient")
        self.logic = self.widget.logic
        self.ui = self.widget.ui
        driving.pump(0.1)

    def connect(self, timeout: float = 60.0) -> None:
        """Ask the server that the settings name, and wait until it answered."""
        self.widget.server.onTest()
        driving.waitUntil(lambda: self.widget.server.isUp, "the server", timeout)
        driving.pump(0.1)

    def type(self, address: str) -> None:
        """Type an address and press Enter; waits for the verdict."""
        self.ui.serverDetailsButton.checked = True
        edit = self.ui.addressCombo.lineEdit()
        edit.selectAll()
        edit.text = address
        driving.key(qt.Qt.Key_Return, widget=edit)
        server = self.widget.server
        driving.pump(0.1)
        driving.waitUntil(lambda: server.isUp or server.trouble, "an answer", 30)
        driving.pump(0.1)

    def wait(self) -> None:
        """Wait until nothing runs any more."""
        driving.pump(0.05)
        driving.waitUntil(lambda: not self.widget.job.isBusy, "the answer", ANSWER_SECONDS)
        driving.pump(0.2)

    def choose(self, name: str) -> None:
        """Click a model in the list."""
        self.widget.models.choose(name)
        driving.pump(0.1)

    def run(self) -> None:
        assert self.ui.runButton.enabled, self.ui.runButton.toolTip
        self.ui.runButton.click()
        self.wait()

    @property
    def status(self) -> str:
        return self.widget.status.text

    @property
    def serverText(self) -> str:
        return str(self.ui.serverLabel.text)

    @property
    def log(self) -> str:
        return str(self.ui.requestLog.toPlainText())

    @property
    def segmentation(self) -> Any:
        return self.widget._parameterNode.segmentation

    def segmentNames(self) -> list[str]:
        segmentation = self.segmentation.GetSegmentation()
        return [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
