"""Positive or negative, as one button that says which."""

from __future__ import annotations

from typing import Any, Callable

from slicer.i18n import tr as _


class SignButton:
    """Args:
    button: checkable QToolButton; checked for negative.
    key: that turns it round.
    onChanged: called with whether prompts are positive now.
    """

    def __init__(self, button: Any, key: str, onChanged: Callable[[bool], None]) -> None:
        self._button, self._key, self._onChanged = button, key, onChanged
        button.connect("toggled(bool)", self._toggled)
        self._show(False)

    @property
    def isPositive(self) -> bool:
        return not self._button.checked

    def setPositive(self) -> None:
        """Make prompts positive."""
        self._button.checked = False

    def toggle(self) -> None:
        """Turn it round."""
        self._button.checked = not self._button.checked

    def _toggled(self, isNegative: bool) -> None:
        self._show(isNegative)
        self._onChanged(not isNegative)

    def _show(self, isNegative: bool) -> None:
        word = _("− Negative ({key})") if isNegative else _("+ Positive ({key})")
        self._button.text = word.format(key=self._key)
        self._button.toolTip = (
            _("Prompts exclude now. Ctrl, or a right click: the opposite.")
            if isNegative
            else _("Prompts add now. Ctrl, or a right click: the opposite.")
        )
