"""One piece of work at a time from the panel: said in the status line, cancelled there, its failure said there."""

from __future__ import annotations

import logging
from typing import Any, Callable

from slicer.i18n import tr as _

from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import BackgroundJob
from IMeasureLib.status_line import StatusLine

from .answers import AnswerError
from .logic import ConsentError, VHSAnalyzerLogic
from .picture import PictureError
from .scene_nodes import LandmarksError
from .screen_corners import CornersError

EXPECTED_ERRORS = (AnswerError, ConsentError, CornersError, LandmarksError, PictureError, ServerError, OSError)
"""Their messages are sentences for the person at the screen."""


def sentenceFor(error: Exception) -> str:
    """What to tell a person about an error; one that nobody foresaw is logged with its traceback."""
    if isinstance(error, OSError) and not isinstance(error, ConsentError):
        return _("The file could not be read or written: {why}.").format(why=error.strerror or error)
    if isinstance(error, EXPECTED_ERRORS):
        return str(error)
    logging.error("VHSAnalyzer: unexpected error", exc_info=error)
    return _("Something unexpected went wrong; the Error Log (Ctrl+0) says what.")


class PanelJob:
    """Runs work in the background.

    Args:
        onChanged: called when work began or ended, to enable and disable buttons.
    """

    def __init__(self, logic: VHSAnalyzerLogic, status: StatusLine, onChanged: Callable[[], None]) -> None:
        self._logic, self._status, self._onChanged = logic, status, onChanged
        self._job: BackgroundJob[Any] | None = None
        self._cancelledWords = ""

    @property
    def isBusy(self) -> bool:
        return self._job is not None

    def run(
        self,
        words: str,
        work: Callable[..., Any],
        onResult: Callable[[Any], str],
        cancelled: str = "",
    ) -> None:
        """Begin; does nothing while other work runs.

        Args:
            work: takes the cancel event and the progress function; no MRML, no Qt.
            onResult: gets what came of it on the GUI thread and returns what to say.
            cancelled: what to say when the person cancels.
        """
        if self._job is not None:
            return
        self._cancelledWords = cancelled or _("Cancelled. Nothing was changed.")
        self._status.busy(words, self.cancel)
        self._job = self._logic.background(
            work,
            lambda result: self._ended(lambda: onResult(result)),
            self.failed,
            self._status.progress,
            self._cancelled,
        )
        self._onChanged()

    def cancel(self) -> None:
        """Stop waiting; nothing of it reaches the scene."""
        if self._job is not None:
            self._job.cancel()

    def attempt(self, what: Callable[[], str]) -> None:
        """Do something at once and say what came of it; an error is said too."""
        try:
            self._status.show(what())
        except Exception as error:  # noqa: BLE001 - whatever it was, the panel says so and can be used again
            self._status.error(sentenceFor(error))

    def _ended(self, what: Callable[[], str]) -> None:
        self._job = None
        self.attempt(what)
        self._onChanged()

    def failed(self, error: Exception) -> None:
        """Say an error, of this work or of what should have begun it."""
        self._job = None
        self._status.error(sentenceFor(error))
        self._onChanged()

    def _cancelled(self) -> None:
        self._job = None
        self._status.show(self._cancelledWords)
        self._onChanged()
