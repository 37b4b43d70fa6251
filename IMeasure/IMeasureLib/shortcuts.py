"""Keys of the main window that work while the module is shown."""

from __future__ import annotations

from typing import Any, Callable

import qt
import slicer


class Shortcuts:
    """Keys and what they do; ``install`` and ``remove`` may be called any number of times."""

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        """Take key sequence ("Ctrl+Z") → what to call."""
        self._actions = actions
        self._installed: list[Any] = []

    def install(self) -> None:
        """Let the keys work."""
        self.remove()
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(slicer.util.mainWindow())
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            self._installed.append(shortcut)

    def remove(self) -> None:
        """Give the keys back to whoever had them."""
        for shortcut in self._installed:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed.clear()
