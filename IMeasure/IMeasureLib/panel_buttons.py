"""When the panel's buttons can be used, and why not when they cannot."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from .hotkeys import NEW_FINDING, UNDO


def showEditButtons(ui: Any, isSelected: bool, canUndo: bool, hasFindings: bool) -> None:
    """Enable the buttons below the tools, and say in their tooltips what they do or why they are off.

    Args:
        ui: the panel's widgets, by name.
        isSelected: whether a finding is selected.
        canUndo: whether a change can be taken back.
        hasFindings: whether the table has any.
    """
    states = (
        (
            ui.newFindingButton,
            isSelected,
            _("The next click or stroke begins a new finding ({key}).").format(key=NEW_FINDING),
            _("No finding is selected, so the next click begins a new one anyway."),
        ),
        (
            ui.undoButton,
            canUndo,
            _("Take back the last change of a finding ({key}).").format(key=UNDO),
            _("There is nothing to undo."),
        ),
        (
            ui.deleteButton,
            isSelected,
            _("Delete the selected finding with its mask and lines. Undo brings it back."),
            _("Select a finding in the table first."),
        ),
        (
            ui.exportButton,
            hasFindings,
            _("Write all findings of this volume to a file."),
            _("There are no findings yet."),
        ),
    )
    for button, isPossible, what, whyNot in states:
        button.enabled = isPossible
        button.toolTip = what if isPossible else whyNot
