"""The numbers: the model's and those of the landmarks as they are now, and what is to be known beside them."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from .answers import Answer
from .measurement import Measurement, decimals
from .references import comparison, hints, referenceFor
from .report import editSentence

ROWS = ("VHS", "VLAS", "Long axis", "Short axis")
MODEL, NOW, MILLIMETRES = range(3)


class ResultPanel:
    """Shows one measurement in a table and a label.

    Args:
        table: QTableWidget. details: QLabel.
    """

    def __init__(self, table: Any, details: Any) -> None:
        self._table, self._details = table, details
        table.setRowCount(len(ROWS))
        table.setColumnCount(3)
        table.setVerticalHeaderLabels([_(row) for row in ROWS])
        table.setHorizontalHeaderLabels([_("Model"), _("Now"), "mm"])
        for column in range(3):
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.Stretch)
        for row in range(len(ROWS)):
            for column in range(3):
                item = qt.QTableWidgetItem("")
                item.setTextAlignment(int(qt.Qt.AlignCenter))
                if row == 0:
                    font = qt.QFont(item.font())
                    font.setBold(True)
                    font.setPointSize(font.pointSize() + 4)
                    item.setFont(font)
                table.setItem(row, column, item)
        table.resizeRowsToContents()
        height = table.horizontalHeader().sizeHint.height() + 4
        table.setFixedHeight(height + sum(table.rowHeight(row) for row in range(len(ROWS))))

    def show(self, measurement: Measurement | None, answer: Answer | None, breed: str, spacingKnown: bool) -> None:
        """Show a measurement; without landmarks ``answer`` says why there are none."""
        score = measurement.score if measurement is not None else None
        model = measurement.answer if measurement is not None else answer
        self._set(0, MODEL, decimals(model.vhs if model else None))
        self._set(1, MODEL, decimals(model.vlas if model else None))
        values = (None,) * 4 if score is None else (score.vhs, score.vlas, score.longAxis, score.shortAxis)
        for row, value in enumerate(values):
            self._set(row, NOW, decimals(value))
        self._table.setColumnHidden(MILLIMETRES, not spacingKnown)
        for row, value in enumerate(values[2:], start=2):
            self._set(row, MILLIMETRES, decimals(None if value is None or score is None else value * score.vertebra))
        self._details.text = "\n".join(detailLines(measurement, model, breed))

    def text(self, row: int, column: int) -> str:
        """What a cell says."""
        return str(self._table.item(row, column).text())

    def _set(self, row: int, column: int, text: str) -> None:
        item = self._table.item(row, column)
        if item.text() != text:
            item.setText(text)


def detailLines(measurement: Measurement | None, answer: Answer | None, breed: str) -> list[str]:
    """Result, confidence, edits, geometry, reference and hints, as sentences."""
    lines = []
    if answer is not None:
        lines.append(answer.sentence)
        if answer.confidenceSentence:
            lines.append(f"{answer.confidenceSentence}.")
        if answer.modelVersion:
            lines.append(f"Model version {answer.modelVersion}.")
        if answer.popDetected:
            lines.append(
                "A photo of a screen: the model measured it straightened. “Now” is in the photo's perspective; to move "
                "landmarks, straighten it first (Photo of a screen)."
            )
    if measurement is None or measurement.points is None:
        return lines
    if measurement.unplaced:
        lines.append(f"No score yet. Still to be dragged to where they belong: {', '.join(measurement.unplaced)}.")
        return lines
    lines.append(editSentence(measurement))
    score = measurement.score
    assert score is not None, "landmarks that are all placed have a score"
    if score.implausibility is not None:
        lines.append(f"No score: {score.implausibility.value}")
    elif not score.axesPerpendicular:
        lines.append("The axes of the heart are not at right angles.")
    lines.append(comparison(score.vhs, referenceFor(breed)))
    lines += hints(score.vhs, score.vlas)
    return [line for line in lines if line]
