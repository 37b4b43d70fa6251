"""The report as PDF: the same words and drawing as the HTML's, laid out by Qt."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import qt

from .drawing import Drawing
from .report import ReportContent, body, head

PAGE_WIDTH_POINTS = 600
"""Of the picture, on a page of A4 with Qt's margins."""


def writePDF(content: ReportContent, path: str | Path) -> None:
    """Raises OSError when it cannot be written."""
    with tempfile.TemporaryDirectory(prefix="VHSAnalyzer-") as folder:
        picture = Path(folder) / "picture.png"
        annotated(content).save(str(picture))
        height = round(PAGE_WIDTH_POINTS * content.height / content.width)
        image = f'<p><img src="{picture.as_uri()}" width="{PAGE_WIDTH_POINTS}" height="{height}"></p>'
        document = qt.QTextDocument()
        document.setHtml(f"<html><body>{head(content)}{image}{body(content)}</body></html>")
        device = _device(Path(path))
        # "print" was a keyword once: PythonQt calls it by either name.
        (getattr(document, "print_", None) or getattr(document, "print"))(device)  # noqa: B009
        del device  # the file is complete when the device is gone
    if not Path(path).is_file() or Path(path).stat().st_size == 0:
        raise OSError(f"{path} could not be written.")


def _device(path: Path) -> Any:
    """What is printed to: a page of A4."""
    with path.open("wb"):
        pass  # Qt would fail without a word
    if hasattr(qt, "QPdfWriter"):
        writer = qt.QPdfWriter(str(path))
        writer.setTitle("Vertebral heart score")
        writer.setPageSize(qt.QPageSize(qt.QPageSize.A4))
        writer.setResolution(150)
        return writer
    printer = qt.QPrinter(qt.QPrinter.HighResolution)
    printer.setOutputFormat(qt.QPrinter.PdfFormat)
    printer.setOutputFileName(str(path))
    return printer


def annotated(content: ReportContent) -> Any:
    """A QImage of the picture with the drawing on it."""
    image = qt.QImage()
    image.loadFromData(qt.QByteArray(content.png))
    image = image.convertToFormat(qt.QImage.Format_RGB32)
    painter = qt.QPainter(image)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    _paint(painter, content.drawing)
    painter.end()
    return image


def _paint(painter: Any, drawing: Drawing) -> None:
    unit = drawing.unit
    for stroke in drawing.strokes:
        painter.setPen(_pen(stroke.color, unit))
        for (x1, y1), (x2, y2) in zip(stroke.path, stroke.path[1:]):
            painter.drawLine(qt.QPointF(x1, y1), qt.QPointF(x2, y2))
    for dot in drawing.dots:
        painter.setPen(_pen("#000000", 0.4 * unit))
        painter.setBrush(qt.QBrush(qt.QColor(dot.color)))
        painter.drawEllipse(qt.QPointF(*dot.at), 1.6 * unit, 1.6 * unit)
    font = qt.QFont("Sans")
    font.setPixelSize(max(8, round(9 * unit)))
    painter.setFont(font)
    for words in drawing.words:
        x, y = words.at
        painter.setPen(_pen("#000000", unit))
        for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            painter.drawText(qt.QPointF(x + dx * unit * 0.6, y + dy * unit * 0.6), words.text)
        painter.setPen(_pen(words.color, unit))
        painter.drawText(qt.QPointF(x, y), words.text)


def _pen(color: str, width: float) -> Any:
    pen = qt.QPen(qt.QColor(color))
    pen.setWidthF(width)
    return pen
