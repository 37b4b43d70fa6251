"""The table of findings: one row each, sizes in its columns; a click on a row asks to show the finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Callable

import qt
from slicer.i18n import tr as _

from .findings import Finding, FindingRow
from .panel_words import MM3_PER_CM3

VISIBLE, COLOR, NAME, SLICE, LONG, SHORT, DIAMETER, HEIGHT, VOLUME = range(9)
ICON_COLUMN_WIDTH = 26
SWATCH_SIZE = 14
ID_ROLE = int(qt.Qt.UserRole)


def _headers() -> list[tuple]:
    """Header and tooltip of each column."""
    return [
        ("", _("Click the eye to show or hide a finding.")),
        ("", _("Double-click the colour to choose another.")),
        (_("Name"), _("Double-click the name to change it.")),
        (_("Slice"), _("Slice with the longest long axis, counted from 1.")),
        (_("Long\nmm"), _("Long axis (RECIST): longest diameter on that slice, mm.")),
        (_("Short\nmm"), _("Short axis: longest diameter perpendicular to the long axis on that slice, mm.")),
        (_("3D ⌀\nmm"), _("Longest diameter in three dimensions, mm.")),
        (_("Height\nmm"), _("Extent across the slices, mm.")),
        (_("Volume\ncm³"), _("Volume, cm³.")),
    ]


class FindingsTable:
    """Shows findings in a QTableWidget and says what the person does there.

    Args:
        table: the QTableWidget.
        onSelected: called with a finding's id when its row was selected by mouse or key.
        onJump: called with an id when the views shall show it.
        onRenamed: called with an id and the new name.
        onVisibilityToggled: called with an id and whether it shall be visible.
        onColorRequested: called with an id when another colour is asked for.
    """

    def __init__(
        self,
        table: Any,
        onSelected: Callable[[str], None],
        onJump: Callable[[str], None],
        onRenamed: Callable[[str, str], None],
        onVisibilityToggled: Callable[[str, bool], None],
        onColorRequested: Callable[[str], None],
    ) -> None:
        self._table = table
        self._onSelected, self._onJump, self._onRenamed = onSelected, onJump, onRenamed
        self._onVisibilityToggled, self._onColorRequested = onVisibilityToggled, onColorRequested
        self._findings: list[Finding] = []
        self._updating = False
        self._setUpColumns()
        table.connect("cellClicked(int,int)", self._clicked)
        table.connect("cellDoubleClicked(int,int)", self._doubleClicked)
        table.connect("itemSelectionChanged()", self._selectionChanged)
        table.connect("cellChanged(int,int)", self._changed)

    def _setUpColumns(self) -> None:
        headers = _headers()
        self._table.setColumnCount(len(headers))
        for column, (text, tip) in enumerate(headers):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip)
            self._table.setHorizontalHeaderItem(column, item)
        header = self._table.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(ICON_COLUMN_WIDTH)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        for column in (VISIBLE, COLOR):
            header.setSectionResizeMode(column, qt.QHeaderView.Fixed)
            self._table.setColumnWidth(column, ICON_COLUMN_WIDTH)

    def show(self, findings: Sequence[Finding]) -> None:
        """Show these findings, in this order; the selection stays where it was."""
        if list(findings) == self._findings:
            return  # an editor that is open stays open
        selected = self.selectedId
        self._findings = list(findings)
        with self._quiet():
            self._table.setRowCount(len(findings))
            for row, finding in enumerate(findings):
                self._fill(row, finding)
            self._table.resizeRowsToContents()
        self.select(selected)

    @property
    def selectedId(self) -> str | None:
        """Id of the selected finding, None without."""
        rows = self._table.selectionModel().selectedRows()
        return self._idOf(rows[0].row()) if rows else None

    def select(self, findingId: str | None) -> None:
        """Select a finding's row, or none, without telling anyone."""
        if findingId == self.selectedId:
            return
        with self._quiet():
            self._table.clearSelection()
            self._table.setCurrentCell(-1, -1)
            for row, finding in enumerate(self._findings):
                if finding.id == findingId:
                    self._table.setCurrentCell(row, NAME)

    def _fill(self, row: int, finding: Finding) -> None:
        values = FindingRow.of(finding)
        volume = None if values.volume is None else values.volume / MM3_PER_CM3
        eye = qt.QIcon(":/Icons/VisibleOn.png" if finding.visible else ":/Icons/VisibleOff.png")
        self._put(row, VISIBLE, "", eye)
        self._put(row, COLOR, "", self._swatch(finding))
        self._put(row, NAME, finding.name, editable=True)
        self._put(row, SLICE, "–" if values.slice is None else str(values.slice))
        lengths = (values.longAxis, values.shortAxis, values.diameter, values.height, volume)
        for column, number in zip((LONG, SHORT, DIAMETER, HEIGHT, VOLUME), lengths):
            self._put(row, column, "–" if number is None else self._format(column, number))
        if finding.measurements is None:
            tip = _("The mask was changed by other means, so its sizes are not known. Refine it to measure it again.")
            for column in range(SLICE, VOLUME + 1):
                self._table.item(row, column).setToolTip(tip)

    @staticmethod
    def _format(column: int, number: float) -> str:
        if column == VOLUME and number < 10.0:
            return f"{number:.2f}"
        return f"{number:.1f}"

    def _put(self, row: int, column: int, text: str, icon: Any = None, editable: bool = False) -> None:
        item = qt.QTableWidgetItem(text)
        if icon is not None:
            item.setIcon(icon)
        flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
        item.setFlags(flags | qt.Qt.ItemIsEditable if editable else flags)
        if column >= SLICE:
            item.setTextAlignment(int(qt.Qt.AlignRight) | int(qt.Qt.AlignVCenter))
        else:
            item.setToolTip(_headers()[column][1])
        self._table.setItem(row, column, item)

    @staticmethod
    def _swatch(finding: Finding) -> Any:
        pixmap = qt.QPixmap(SWATCH_SIZE, SWATCH_SIZE)
        pixmap.fill(qt.QColor.fromRgbF(*finding.color))
        icon = qt.QIcon(pixmap)
        icon.addPixmap(pixmap, qt.QIcon.Selected)  # else the selection would tint it
        return icon

    def _idOf(self, row: int) -> str | None:
        return self._findings[row].id if 0 <= row < len(self._findings) else None

    def _clicked(self, row: int, column: int) -> None:
        findingId = self._idOf(row)
        if findingId is None:
            return
        if column == VISIBLE:
            self._onVisibilityToggled(findingId, not self._findings[row].visible)
        else:
            self._onJump(findingId)

    def _doubleClicked(self, row: int, column: int) -> None:
        findingId = self._idOf(row)
        if findingId is not None and column == COLOR:
            self._onColorRequested(findingId)

    def _selectionChanged(self) -> None:
        findingId = self.selectedId
        if self._updating or findingId is None:
            return
        self._onSelected(findingId)
        if self._table.currentColumn() != VISIBLE:
            self._onJump(findingId)

    def _changed(self, row: int, column: int) -> None:
        if self._updating or column != NAME:
            return
        name = self._table.item(row, NAME).text().strip()
        findingId = self._idOf(row)
        if findingId is not None and name and name != self._findings[row].name:
            self._onRenamed(findingId, name)
        else:
            with self._quiet():
                self._table.item(row, NAME).setText(self._findings[row].name)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Changes made inside are ours, not the person's."""
        before, self._updating = self._updating, True
        try:
            yield
        finally:
            self._updating = before
