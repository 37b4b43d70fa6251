"""Reports to a file where the person says, and the patient's history as a chart."""

from __future__ import annotations

import os
import re
from typing import Any, Callable

import qt
import slicer
from slicer.i18n import tr as _

from .history import historyRows
from .history_plot import showHistory
from .logic import VHSAnalyzerLogic
from .panel_job import PanelJob
from .scene_nodes import landmarksOf, readAnswer
from .views import isPlotShown, showPlot

FILTERS = {".html": "HTML (*.html)", ".pdf": "PDF (*.pdf)"}


class OutputPanel:
    """Three buttons.

    Args:
        picture: gives the present picture's volume node.
        onBack: called to show the picture alone again, instead of the chart.
    """

    def __init__(
        self,
        ui: Any,
        logic: VHSAnalyzerLogic,
        job: PanelJob,
        picture: Callable[[], Any],
        onBack: Callable[[], None],
    ) -> None:
        self._logic, self._job, self._picture, self._onBack = logic, job, picture, onBack
        ui.reportHTMLButton.connect("clicked()", lambda: self.onReport(".html"))
        ui.reportPDFButton.connect("clicked()", lambda: self.onReport(".pdf"))
        ui.historyButton.connect("clicked()", self.onHistory)

    def onReport(self, suffix: str) -> None:
        """Ask where, and write."""
        path = askForPath(self._picture().GetName(), suffix)
        if path:
            self._job.attempt(lambda: self.write(path))

    def write(self, path: str) -> str:
        """Write the report; returns what to say."""
        self._logic.report(landmarksOf(self._picture()), path)
        return _("Written: {path}").format(path=path)

    def onHistory(self) -> None:
        """Show the chart, or the picture alone when the chart is shown."""
        if isPlotShown():
            self._onBack()
            return
        self._job.attempt(self._history)

    def _history(self) -> str:
        volume = self._picture()
        node = landmarksOf(volume)
        rows = historyRows(readAnswer(node) if node is not None else None)
        if not rows:
            return _("There is no history. Enter what names the patient, then analyse.")
        showPlot(showHistory(slicer.mrmlScene, rows, self._logic.patientOf(volume)))
        return _("{count} measurements from {first} to {last}.").format(
            count=len(rows), first=rows[0].day, last=rows[-1].day
        )


def askForPath(name: str, suffix: str) -> str:
    """Ask where to write a report; "" when the person changed their mind."""
    folder = slicer.app.defaultScenePath or os.path.expanduser("~")
    suggestion = re.sub(r"[^\w. -]+", "_", name) + f" VHS{suffix}"
    path = qt.QFileDialog.getSaveFileName(
        slicer.util.mainWindow(), _("Write the report"), os.path.join(folder, suggestion), FILTERS[suffix]
    )
    return path if not path or path.lower().endswith(suffix) else path + suffix
