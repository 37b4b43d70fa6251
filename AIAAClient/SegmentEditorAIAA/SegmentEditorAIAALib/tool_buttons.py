"""A row of tools of which one is on: each has a key that its label shows, and one that is off says why."""

from __future__ import annotations

import os
from typing import Callable

import qt

from .effect_base import resource


class ToolButtons:
    """Args:
    buttons: tool's name → checkable QToolButton; its toolTip in the .ui file says what it does.
    keys: tool's name → key.
    onChosen: called with the name of the tool that the person chose.
    """

    def __init__(self, buttons: dict, keys: dict, onChosen: Callable[[str], None]) -> None:
        self._buttons, self._onChosen = buttons, onChosen
        self._tips = {name: str(button.toolTip) for name, button in buttons.items()}
        self._active = next(iter(buttons))
        for name, button in buttons.items():
            button.text = f"{button.text} ({keys[name]})"
            icon = resource("Icons", f"{name}.png")
            if os.path.isfile(icon):
                button.setIcon(qt.QIcon(icon))
            button.connect("clicked()", lambda name=name: self._clicked(name))
        self.keys: dict[str, Callable[[], None]] = {
            keys[name]: (lambda button=button: button.click()) for name, button in buttons.items()
        }

    def show(self, active: str, whyNot: dict | None = None) -> None:
        """Show which tool is on, and disable those for which there is a reason."""
        self._active = active
        for name, button in self._buttons.items():
            reason = (whyNot or {}).get(name, "")
            button.checked = name == active
            button.enabled = not reason
            button.toolTip = reason or self._tips[name]

    def _clicked(self, name: str) -> None:
        # One tool is always on: the effect itself is what is turned off.
        self.show(name, {other: str(b.toolTip) for other, b in self._buttons.items() if not b.enabled})
        self._onChosen(name)
