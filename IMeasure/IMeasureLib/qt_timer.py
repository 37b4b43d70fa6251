"""The GUI thread's timer for ``jobs``: the one place where the library needs Qt."""

from __future__ import annotations

from typing import Any, Callable

import qt


class QtTimer:
    """A repeating ``qt.QTimer`` that is taken down when it stops, so that it does not keep its owner alive."""

    def __init__(self, milliseconds: int, callback: Callable[[], None]) -> None:
        self._timer: Any = qt.QTimer()
        self._timer.setInterval(milliseconds)
        self._timer.connect("timeout()", callback)
        self._callback = callback

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()


def qtTimer(milliseconds: int, callback: Callable[[], None]) -> QtTimer:
    """A stopped timer of the thread that calls this (the GUI thread)."""
    return QtTimer(milliseconds, callback)
