"""Esc cancels what is going on, and only then; otherwise it stays the Segment Editor's (which turns the effect off)."""

from __future__ import annotations

from typing import Any, Callable

import qt
import slicer

from .hotkeys import CANCEL


class EscapeKey:
    """Takes Esc over for a while. Two enabled shortcuts of one key are ambiguous to Qt, and neither would work.

    Args:
        onPressed: called when Esc is pressed while it is taken.
    """

    def __init__(self, onPressed: Callable[[], None]) -> None:
        self._onPressed = onPressed
        self._shortcut: Any = None
        self._others: list[Any] = []

    @property
    def isTaken(self) -> bool:
        return self._shortcut is not None

    def take(self) -> None:
        """Let Esc cancel."""
        if self._shortcut is not None:
            return
        window = slicer.util.mainWindow()
        self._others = [
            shortcut
            for shortcut in window.children()
            if shortcut.className() == "QShortcut" and shortcut.enabled and shortcut.key.toString() == CANCEL
        ]
        for shortcut in self._others:
            shortcut.enabled = False
        self._shortcut = qt.QShortcut(window)
        self._shortcut.setKey(qt.QKeySequence(CANCEL))
        self._shortcut.connect("activated()", self._onPressed)

    def giveBack(self) -> None:
        """Let Esc be what it was."""
        if self._shortcut is None:
            return
        self._shortcut.enabled = False
        self._shortcut.setParent(None)
        self._shortcut.deleteLater()
        self._shortcut = None
        for shortcut in self._others:
            shortcut.enabled = True
        self._others = []
