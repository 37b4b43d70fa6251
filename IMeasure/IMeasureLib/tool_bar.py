"""The three tool buttons: at most one is on, each has a key, and one that is off says why."""

from __future__ import annotations

from typing import Any, Callable

import qt
from slicer.i18n import tr as _

from .hotkeys import HOTKEYS


def toolTip(name: str) -> str:
    """What a tool does, in words."""
    return {
        "TwoClick": _("Click both ends of the longest diameter. Always makes a new finding."),
        "TrueClick": _(
            "Left click: the finding is here. Right click or Ctrl+click: it is not. "
            "Refines the selected finding; begins a new one when none is selected."
        ),
        "MagicPen": _(
            "Draw the outline with the button held, on an axial slice. "
            "Refines the selected finding; begins a new one when none is selected."
        ),
    }[name]


class ToolBar:
    """Buttons and keys of the tools.

    Args:
        buttons: tool's name → checkable QToolButton.
        iconPath: tool's name → path of its icon.
        onChanged: called with the name of the tool that the person turned on, or None when they turned it off.
    """

    def __init__(
        self, buttons: dict[str, Any], iconPath: Callable[[str], str], onChanged: Callable[[str | None], None]
    ) -> None:
        self._buttons = buttons
        self._onChanged = onChanged
        self._whyNot = ""
        for name, button in buttons.items():
            button.text = f"{name} ({HOTKEYS[name]})"
            button.setIcon(qt.QIcon(iconPath(name)))
            button.connect("clicked()", lambda name=name: self._clicked(name))
        self.setAvailable("")

    @property
    def active(self) -> str | None:
        """Name of the tool that is on."""
        return next((name for name, button in self._buttons.items() if button.checked), None)

    def setActive(self, name: str | None) -> None:
        """Show which tool is on, without telling anyone."""
        for other, button in self._buttons.items():
            button.checked = other == name

    def setAvailable(self, whyNot: str) -> None:
        """Enable the buttons, or disable them and say why in their tooltips."""
        self._whyNot = whyNot
        for name, button in self._buttons.items():
            button.enabled = not whyNot
            button.toolTip = whyNot or toolTip(name)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Key → what it does, for ``Shortcuts``."""
        return {HOTKEYS[name]: (lambda name=name: self._key(name)) for name in self._buttons}

    def _key(self, name: str) -> None:
        if not self._whyNot:
            self._buttons[name].click()

    def _clicked(self, name: str) -> None:
        on = name if self._buttons[name].checked else None
        self.setActive(on)
        self._onChanged(on)
