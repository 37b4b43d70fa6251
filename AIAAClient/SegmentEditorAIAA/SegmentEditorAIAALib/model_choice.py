"""The list of the models that can do what an effect does."""

from __future__ import annotations

from typing import Any, Callable

import qt
from slicer.i18n import tr as _

KIND_WORDS = {
    "segmentation": "automatic segmentation",
    "dextr3d": "boundary points",
    "prompts": "clicks",
    "scribbles": "scribbles",
}


class ModelChoice:
    """A combo box of models of one kind; what a person chose is chosen again when the models come back.

    Args:
        box: QComboBox.
        logic: of the module AIAAClient.
        kind: which models.
        onChosen: called with the name of a model that the person chose.
    """

    def __init__(self, box: Any, logic: Any, kind: str, onChosen: Callable[[str], None]) -> None:
        self._box, self._logic, self._kind, self._onChosen = box, logic, kind, onChosen
        self._wanted = ""
        self._models: list[Any] = []
        box.connect("activated(int)", self._activated)
        self.fill()

    @property
    def model(self) -> Any:
        """The ModelInfo that is chosen; None when there is none."""
        index = self._box.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    @property
    def whyNot(self) -> str:
        """Why no model is chosen, in a sentence; "" when one is."""
        if self.model is not None:
            return ""
        if self._logic.connection is None:
            return _("The server's models are not known yet.")
        return _("This server has no model for {kind}.").format(kind=KIND_WORDS[self._kind])

    def choose(self, name: str) -> None:
        """Choose the model of that name, now or when it is there, without telling anyone."""
        self._wanted = name or self._wanted
        self._select()

    def fill(self) -> None:
        """List the models that the server has now."""
        models = self._logic.knownModels(self._kind)
        if models == self._models and self._box.count:
            return
        self._models = models
        blocked = self._box.blockSignals(True)
        self._box.clear()
        for model in models:
            self._box.addItem(model.name)
            self._box.setItemData(self._box.count - 1, _tip(model), qt.Qt.ToolTipRole)
        if not models:
            self._box.addItem(_("none"))
        self._box.blockSignals(blocked)
        self._box.enabled = bool(models)
        self._select()

    def _select(self) -> None:
        names = [model.name for model in self._models]
        blocked = self._box.blockSignals(True)
        if self._wanted in names:
            self._box.setCurrentIndex(names.index(self._wanted))
        elif names:
            # Nobody chose yet: the one that takes the most kinds of prompts.
            self._box.setCurrentIndex(max(range(len(names)), key=lambda index: len(self._models[index].prompts)))
        self._box.blockSignals(blocked)
        self._box.toolTip = _tip(self.model) if self.model is not None else self.whyNot

    def _activated(self, _index: int) -> None:
        if self.model is not None:
            self._wanted = self.model.name
            self._box.toolTip = _tip(self.model)
            self._onChosen(self.model.name)


def _tip(model: Any) -> str:
    """What a model is, what it finds, and under which licence."""
    lines = [model.description or model.name]
    if model.labels:
        names = list(model.labels)
        more = _(" and {count} more").format(count=len(names) - 12) if len(names) > 12 else ""
        lines.append(_("Finds: {names}{more}.").format(names=", ".join(names[:12]), more=more))
    if model.licence:
        lines.append(_("Licence of the weights: {licence}.").format(licence=model.licence))
    return "\n".join(lines)
