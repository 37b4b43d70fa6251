"""The list of the server's models: by what they do, each with its description."""

from __future__ import annotations

from typing import Any, Callable

import qt
from slicer.i18n import tr as _

from .model_info import ModelInfo

ORDER = (
    "Automatic segmentation",
    "Pipelines",
    "Boundary points",
    "Clicks",
    "Clicks, boxes, lassos",
    "Scribbles",
    "Classification",
    "Others",
)
ROWS_SHOWN = 9


class ModelTree:
    """Fills a QTreeWidget.

    Args:
        onChosen: called when another model is chosen, with its name.
    """

    def __init__(self, tree: Any, onChosen: Callable[[str], None]) -> None:
        self._tree, self._onChosen = tree, onChosen
        self._models: dict[str, ModelInfo] = {}
        tree.setColumnCount(2)
        tree.setHeaderLabels([_("Model"), _("What it does")])
        tree.header().setStretchLastSection(True)
        tree.setRootIsDecorated(False)
        tree.setFixedHeight((ROWS_SHOWN + 1) * (tree.fontMetrics().lineSpacing() + 6))
        tree.connect("currentItemChanged(QTreeWidgetItem*,QTreeWidgetItem*)", self._onCurrent)

    @property
    def chosen(self) -> ModelInfo | None:
        """The model that is chosen."""
        item = self._tree.currentItem()
        return self._models.get(item.text(0)) if item is not None else None

    def names(self) -> list[str]:
        """Of all models, from top to bottom."""
        return [item.text(0) for item in self._items()]

    def show(self, models: list[ModelInfo], chosen: str) -> None:
        """List models; ``chosen`` is chosen, or the first where there is none of that name."""
        self._models = {model.name: model for model in models}
        blocked = self._tree.blockSignals(True)
        self._tree.clear()
        titles = [title for title in ORDER if any(model.title == title for model in models)]
        for title in titles:
            self._addGroup(title, [model for model in models if model.title == title])
        self._tree.resizeColumnToContents(0)
        self._tree.blockSignals(blocked)
        self.choose(chosen if chosen in self._models else next(iter(self.names()), ""))

    def choose(self, name: str) -> None:
        """Make a model the chosen one; does nothing when there is none of that name."""
        for item in self._items():
            if item.text(0) == name:
                self._tree.setCurrentItem(item)

    def _items(self) -> list[Any]:
        groups = [self._tree.topLevelItem(index) for index in range(self._tree.topLevelItemCount)]
        return [group.child(index) for group in groups for index in range(group.childCount())]

    def _addGroup(self, title: str, models: list[ModelInfo]) -> None:
        group = qt.QTreeWidgetItem(self._tree)
        group.setText(0, _(title))
        group.setFlags(qt.Qt.ItemIsEnabled)
        group.setFirstColumnSpanned(True)
        font = group.font(0)
        font.setBold(True)
        group.setFont(0, font)
        for model in models:
            item = qt.QTreeWidgetItem(group)
            item.setText(0, model.name)
            item.setText(1, model.description)
            for column in (0, 1):
                item.setToolTip(column, detailsOf(model))
        group.setExpanded(True)

    def _onCurrent(self, current: Any, previous: Any) -> None:
        if current is not None and current.text(0) in self._models:
            self._onChosen(current.text(0))


def detailsOf(model: ModelInfo) -> str:
    """Description, labels and licence of a model, in lines."""
    lines = [model.description or model.name]
    if model.labels:
        names = list(model.labels)
        more = _(" and {count} more").format(count=len(names) - 12) if len(names) > 12 else ""
        lines.append(_("Labels: {names}").format(names=", ".join(names[:12]) + more))
    if model.dimension == 2:
        lines.append(_("Works on single slices."))
    if model.licence:
        lines.append(_("Licence of the weights: {licence}").format(licence=model.licence))
    return "\n".join(lines)
