"""Questions to the server from an effect: one at a time, in the order of the clicks; none blocks the GUI."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable

from slicer.i18n import tr as _

from .jobs import BackgroundJob

Edit = Callable[[], Any]
"""Puts a request together when its turn has come, so that it refines what the one before it made."""


class EditQueue:
    """Asks for one edit after the other.

    Args:
        logic: has ``start(request, onResult, onFailure, onProgress) -> BackgroundJob``.
        onAnswer: called with each request and its answer, on the GUI thread; what it raises counts as a failure.
        onFailure: called with what went wrong. The edits that waited are dropped: they were meant for a mask that
            never came.
        onChanged: called with a line about what is going on when that changes.
    """

    def __init__(
        self,
        logic: Any,
        onAnswer: Callable[[Any, Any], None],
        onFailure: Callable[[Exception], None],
        onChanged: Callable[[str], None],
    ) -> None:
        self._logic = logic
        self._onAnswer, self._onFailure, self._onChanged = onAnswer, onFailure, onChanged
        self._waiting: deque[Edit] = deque()
        self._job: BackgroundJob[Any] | None = None

    @property
    def isBusy(self) -> bool:
        """Whether an answer is being waited for."""
        return self._job is not None

    def add(self, edit: Edit) -> None:
        """Ask for it, now or when those before it are done."""
        self._waiting.append(edit)
        if self._job is None:
            self._next()
        else:
            self._tell()

    def cancel(self) -> None:
        """Stop waiting and drop what waits; nothing is written any more."""
        self._waiting.clear()
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            self._tell()

    def _next(self) -> None:
        if not self._waiting:
            self._tell()
            return
        try:
            request = self._waiting.popleft()()
            self._job = self._logic.start(
                request,
                lambda answer: self._answered(request, answer),
                self._failed,
                self._onChanged,
            )
        except Exception as error:  # noqa: BLE001 - handed to whoever tells the person
            self._failed(error)
            return
        self._tell()

    def _answered(self, request: Any, answer: Any) -> None:
        self._job = None
        try:
            self._onAnswer(request, answer)
        except Exception as error:  # noqa: BLE001 - handed to whoever tells the person
            self._failed(error)
            return
        self._next()

    def _failed(self, error: Exception) -> None:
        self._job = None
        self._waiting.clear()
        self._tell()
        self._onFailure(error)

    def _tell(self) -> None:
        waiting = len(self._waiting)
        line = _("Segmenting…") if not waiting else _("Segmenting… {count} more to do.").format(count=waiting)
        self._onChanged(line)
