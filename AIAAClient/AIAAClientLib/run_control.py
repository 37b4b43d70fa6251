"""One question at a time from the panel: said in the status line, cancelled there, kept in the log."""

from __future__ import annotations

import time
from typing import Any, Callable

from slicer.i18n import tr as _

from IMeasureLib.jobs import BackgroundJob
from IMeasureLib.status_line import StatusLine

from .logic import AIAAClientLogic, MaskAnswer
from .task import Task

MEGABYTE = 1e6


class RunControl:
    """Asks in the background.

    Args:
        log: QPlainTextEdit.
        onChanged: called when work began or ended, to enable and disable buttons.
    """

    def __init__(self, logic: AIAAClientLogic, status: StatusLine, log: Any, onChanged: Callable[[], None]) -> None:
        self._logic, self._status, self._log, self._onChanged = logic, status, log, onChanged
        self._job: BackgroundJob[MaskAnswer] | None = None
        self._last = ""

    @property
    def isBusy(self) -> bool:
        return self._job is not None

    def run(self, task: Task, onAnswer: Callable[[MaskAnswer], str]) -> None:
        """Begin; ``onAnswer`` writes the answer into the scene and returns what to say. Nothing when already busy."""
        if self._job is not None:
            return
        try:
            self._job = self._logic.request(
                task, lambda answer: self._answered(answer, onAnswer), self._failed, self._progressed, self._cancelled
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, the panel says so and can be used again
            self._failed(error)
            return
        self._write(_("Asking {model}.").format(model=getattr(task.model, "name", task.model)))
        self._status.busy(_("Asking…"), self.cancel)
        self._onChanged()

    def cancel(self) -> None:
        """Stop waiting, and close the connection; nothing of it reaches the scene."""
        if self._job is not None:
            self._job.cancel()

    def _progressed(self, line: str) -> None:
        self._status.progress(line)
        kind = line.split(":")[0]
        if kind != self._last:
            self._last = kind
            self._write(line)

    def _answered(self, answer: MaskAnswer, onAnswer: Callable[[MaskAnswer], str]) -> None:
        self._job, self._last = None, ""
        try:
            said = onAnswer(answer)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)
            return
        sent = _("{size:.1f} MB sent").format(size=answer.sent / MEGABYTE) if answer.sent else _("nothing to send")
        self._write(
            f"{answer.model.name}: {', '.join(answer.labels) or _('no label')} · {answer.seconds:.1f} s · {sent}"
        )
        self._status.show(said)
        self._onChanged()

    def _failed(self, error: Exception) -> None:
        self._job, self._last = None, ""
        sentence = self._logic.sentenceFor(error)
        self._write(sentence)
        self._status.error(sentence)
        self._onChanged()

    def _cancelled(self) -> None:
        self._job, self._last = None, ""
        self._write(_("Cancelled."))
        self._status.show(_("Cancelled. Nothing was changed."))
        self._onChanged()

    def _write(self, line: str) -> None:
        self._log.appendPlainText(f"{time.strftime('%H:%M:%S')}  {line}")
