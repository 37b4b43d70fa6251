"""Questions to the server from the panel: one at a time, the others wait; the answer goes into the scene."""

from __future__ import annotations

import logging
from collections import deque
from typing import Callable

from slicer.i18n import tr as _

from .findings import FindingError
from .geometry import GeometryError
from .http_client import ServerError
from .imeasure_client import SegmentationAnswer
from .jobs import BackgroundJob
from .logic import ConsentError, IMeasureLogic, SegmentRequest, SegmentResult
from .prompts import PromptError
from .status_line import StatusLine
from .volume_access import VolumeError

MakeRequest = Callable[[], SegmentRequest]
EXPECTED_ERRORS = (ConsentError, FindingError, GeometryError, PromptError, ServerError, VolumeError)
"""Their messages are sentences for the person at the screen."""


def sentenceFor(error: Exception) -> str:
    """What to tell a person about an error; one that nobody foresaw is logged with its traceback."""
    if isinstance(error, EXPECTED_ERRORS):
        return str(error)
    logging.error("IMeasure: unexpected error", exc_info=error)
    return _("Something unexpected went wrong; the Error Log (Ctrl+0) says what.")


class SegmentQueue:
    """Sends requests in the order in which the person made them.

    A request is put together when its turn comes, so that a click on a finding that is still being made refines it.
    When one fails or is cancelled the others are dropped: they were meant for a mask that never came.

    Args:
        onResult: called with what came of each request, and a warning about it ("" for none).
        onFailure: called with a sentence and the error after a request failed.
        onDropped: called when prompts were dropped, by failure or by the person.
    """

    def __init__(
        self,
        logic: IMeasureLogic,
        status: StatusLine,
        onResult: Callable[[SegmentResult, str], None],
        onFailure: Callable[[str, Exception], None],
        onDropped: Callable[[], None],
    ) -> None:
        self._logic, self._status = logic, status
        self._onResult, self._onFailure, self._onDropped = onResult, onFailure, onDropped
        self._waiting: deque[MakeRequest] = deque()
        self._request: SegmentRequest | None = None
        self._job: BackgroundJob[SegmentationAnswer] | None = None

    @property
    def isBusy(self) -> bool:
        """Whether the server is being waited for."""
        return self._job is not None

    def add(self, makeRequest: MakeRequest) -> None:
        """Send this request when those before it are answered."""
        self._waiting.append(makeRequest)
        if not self.isBusy:
            self._next()

    def cancel(self) -> None:
        """Stop waiting and drop what still waits; nothing of it reaches the scene."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def _next(self) -> None:
        if not self._waiting:
            return
        try:
            self._request = self._waiting.popleft()()
            self._job = self._logic.start(
                self._request, self._answered, self._failed, self._status.progress, self._cancelled
            )
        except Exception as error:  # noqa: BLE001 - as below
            self._failed(error)
            return
        self._status.busy(_("Sending…"), self.cancel)

    def _answered(self, answer: SegmentationAnswer) -> None:
        request, self._job, self._request = self._request, None, None
        assert request is not None, "an answer belongs to a request"
        try:
            self._onResult(self._logic.apply(request, answer), answer.warning)
        except Exception as error:  # noqa: BLE001 - whatever it was, the panel says so and can be used again
            self._failed(error)
            return
        self._next()

    def _failed(self, error: Exception) -> None:
        self._job = self._request = None
        self._waiting.clear()
        sentence = sentenceFor(error)
        self._status.error(sentence)
        self._onFailure(sentence, error)
        self._onDropped()

    def _cancelled(self) -> None:
        self._job = self._request = None
        self._status.show(_("Cancelled. Nothing was changed."))
        self._onDropped()
