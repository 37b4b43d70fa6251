"""The section "Folder to CSV"."""

from __future__ import annotations

import os
from typing import Any

from slicer.i18n import tr as _

from .batch import BatchSummary, analyseFolder
from .logic import VHSAnalyzerLogic
from .panel_job import EXPECTED_ERRORS, PanelJob
from .picture import PictureError

DEFAULT_NAME = "vhs.csv"


class BatchPanel:
    """A folder, a file and a button."""

    def __init__(self, ui: Any, logic: VHSAnalyzerLogic, job: PanelJob) -> None:
        self._ui, self._logic, self._job = ui, logic, job
        ui.batchButton.connect("clicked()", self.onStart)

    def onStart(self) -> None:
        """Measure the folder; the rows that are written when it is cancelled stay."""
        folder = str(self._ui.batchFolderEdit.currentPath).strip()
        path = str(self._ui.batchFileEdit.currentPath).strip() or os.path.join(folder, DEFAULT_NAME)
        try:
            if not folder:
                raise PictureError(_("Choose the folder first."))
            client = self._logic.client()
        except EXPECTED_ERRORS as error:
            self._job.failed(error)
            return
        self._job.run(
            _("Measuring the folder…"),
            lambda cancel, progress: analyseFolder(client, folder, path, cancel, progress),
            lambda summary: self._done(summary, path),
            cancelled=_("Cancelled. The rows so far are in {path}.").format(path=path),
        )

    @staticmethod
    def _done(summary: BatchSummary, path: str) -> str:
        return f"{summary.sentence} {path}"
