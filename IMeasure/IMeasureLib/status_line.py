"""The one line that says what is going on: what to do next, what is being waited for, how long it took, what failed."""

from __future__ import annotations

import time
from typing import Any, Callable

import qt
import slicer
from slicer.i18n import tr as _

TICK_MS = 100
LINES = 2


class StatusLine:
    """A label of fixed height with a busy bar and a cancel button beside it; nothing above or below it ever moves.

    Args:
        label: QLabel of the message.
        progressBar: QProgressBar, shown while something runs.
        cancelButton: QPushButton, shown while something runs that can be cancelled.
    """

    def __init__(self, label: Any, progressBar: Any, cancelButton: Any) -> None:
        self._label, self._progressBar, self._cancelButton = label, progressBar, cancelButton
        textHeight = LINES * self._label.fontMetrics().lineSpacing() + 2
        self._label.setFixedHeight(max(textHeight, cancelButton.sizeHint.height()))
        progressBar.hide()
        cancelButton.hide()
        self._cancelButton.connect("clicked()", self._cancel)
        self._timer = qt.QTimer(label)
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._tick)
        self._message = ""
        self._started = 0.0
        self._onCancel: Callable[[], None] | None = None

    @property
    def text(self) -> str:
        """What the line says now."""
        return str(self._label.text)

    @property
    def isBusy(self) -> bool:
        """Whether something is being waited for."""
        return bool(self._timer.active)

    def show(self, message: str) -> None:
        """Say something and stop being busy."""
        self._stop()
        self._say(message)

    def error(self, message: str) -> None:
        """Say what failed and stop being busy; also kept in the status bar of the main window."""
        self._stop()
        self._say(f"⚠ {message}")
        slicer.util.showStatusMessage(message, 5000)

    def busy(self, message: str, onCancel: Callable[[], None] | None = None) -> None:
        """Say what is being waited for, with the seconds so far; ``onCancel`` is called by the cancel button."""
        if not self.isBusy:
            self._started = time.monotonic()
        self._message, self._onCancel = message, onCancel
        self._progressBar.show()
        self._cancelButton.setVisible(onCancel is not None)
        self._cancelButton.enabled = True
        self._timer.start()
        self._tick()

    def progress(self, message: str) -> None:
        """Say what the work that is being waited for does now."""
        if self.isBusy:
            self._message = message
            self._tick()

    def elapsed(self) -> float:
        """Seconds since ``busy`` was called first."""
        return time.monotonic() - self._started

    def _tick(self) -> None:
        self._say(f"{self._message} {self.elapsed():.1f} s")

    def _stop(self) -> None:
        self._timer.stop()
        self._onCancel = None
        self._progressBar.hide()
        self._cancelButton.hide()

    def _cancel(self) -> None:
        if self._onCancel is not None:
            self._cancelButton.enabled = False
            self._message = _("Cancelling…")
            self._onCancel()

    def _say(self, message: str) -> None:
        self._label.text = message
        self._label.toolTip = message
