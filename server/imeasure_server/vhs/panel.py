"""The panel of scores on the annotated picture, in a corner where it hides nothing that was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from imeasure_server.imaging.pictures import Picture
from imeasure_server.vhs.canvas import WHITE, Box, Canvas, Colour, text_size
from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.results import Confidence
from imeasure_server.vhs.score import Score

CONFIDENCE_COLOURS: dict[Confidence, Colour] = {
    "optimal": (0, 158, 115),
    "good": (86, 180, 233),
    "review": (213, 94, 0),
}

CONFIDENCE_WORDS: dict[Confidence, str] = {
    "optimal": "results are reliable",
    "good": "results are usable, check them by eye",
    "review": "measure by hand, or send a better picture",
}
"""The contract's recommendations, in few words."""

_OPACITY = 0.72


@dataclass(frozen=True)
class _Line:
    """A line of the panel: words, size in pixels, and the colour of the square before them, if any."""

    words: str
    size: float
    swatch: Colour | None = None


@dataclass(frozen=True)
class Panel:
    """Lines of text that belong together; ``margin`` is in pixels."""

    lines: tuple[_Line, ...]
    margin: float

    @classmethod
    def of(
        cls,
        score: Score,
        confidence: Confidence,
        vertebrae: float,
        size: float,
        colours: tuple[Colour, Colour, Colour],
    ) -> Panel:
        """The panel for a score; impossible landmarks get no number at all.

        Args:
            size: of plain text in pixels.
            colours: of the long axis, the short axis and the VLAS line.
        """
        if score.vhs is None:
            lines = [_Line("VHS not measured", 1.5 * size)]
            if score.implausibility is not None:
                lines += [_Line(part, size) for part in _wrapped(score.implausibility.value)]
        else:
            vlas = "VLAS not measured" if score.vlas is None else f"VLAS {score.vlas:.1f}"
            lines = [
                _Line(f"VHS {score.vhs:.1f}", 2.0 * size),
                _Line(vlas, 1.4 * size, colours[2]),
                _Line(f"long axis {score.long_axis:.1f} v", size, colours[0]),
                _Line(f"short axis {score.short_axis:.1f} v", size, colours[1]),
                _Line(f"v: one of the {vertebrae:g} vertebrae A to B", 0.8 * size),
            ]
        lines.append(_Line(f"confidence: {confidence}", size, CONFIDENCE_COLOURS[confidence]))
        lines += [_Line(part, 0.8 * size) for part in _wrapped(CONFIDENCE_WORDS[confidence])]
        return cls(tuple(lines), 0.6 * size)

    def drawn_on(self, canvas: Canvas, drawn: FloatArray, heart: FloatArray) -> Picture:
        """The canvas's picture with the panel.

        Args:
            drawn: (n, 2) points along the lines that must stay visible.
            heart: (4, 2) corners of the heart, in order around it; must stay visible too.
        """
        width, height = self._size()
        places = _places(canvas.size, width, height, self.margin)
        free = [box for box in places if not _hides(box, drawn, heart, self.margin)]
        if free:
            box = min(free, key=canvas.brightness)  # the empty background rather than the animal
            canvas.shade(box, _OPACITY)
            self._draw(canvas, box)
            return canvas.picture
        below = _with_strip(canvas, math.ceil(width), math.ceil(height))
        self._draw(below, (0, canvas.size[1], width, canvas.size[1] + height))
        return below.picture

    def _size(self) -> tuple[float, float]:
        sizes = [text_size(line.words, line.size) for line in self.lines]
        indents = [self._indent(line) for line in self.lines]
        width = max(size[0] + indent for size, indent in zip(sizes, indents, strict=True))
        return width + 2 * self.margin, sum(size[1] for size in sizes) + 2 * self.margin

    @staticmethod
    def _indent(line: _Line) -> float:
        return line.size * 0.9 if line.swatch is not None else 0.0

    def _draw(self, canvas: Canvas, box: Box) -> None:
        left, top = box[0] + self.margin, box[1] + self.margin
        for line in self.lines:
            height = text_size(line.words, line.size)[1]
            if line.swatch is not None:
                side, middle = line.size * 0.6, top + height * 0.45  # of the capitals
                canvas.fill((left, middle - side / 2, left + side, middle + side / 2), line.swatch)
            canvas.text_at(line.words, (left + self._indent(line), top), line.size, WHITE, edged=False)
            top += height


def _wrapped(sentence: str, limit: int = 30) -> list[str]:
    """The sentence in lines of about ``limit`` letters."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + len(word) >= limit:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _places(size: tuple[int, int], width: float, height: float, margin: float) -> Iterator[Box]:
    """Where the panel may stand: the four corners, then the middles of the four sides; only where it fits."""
    right, bottom = size[0] - width - margin, size[1] - height - margin
    if right < margin or bottom < margin:
        return
    middle, centre = (margin + right) / 2, (margin + bottom) / 2
    corners = ((margin, bottom), (right, bottom), (right, margin), (margin, margin))
    for left, top in (*corners, (middle, bottom), (middle, margin), (margin, centre), (right, centre)):
        yield left, top, left + width, top + height


def _hides(box: Box, drawn: FloatArray, heart: FloatArray, margin: float) -> bool:
    """Whether the rectangle, and a margin around it, covers a point that was drawn or a part of the heart."""
    low, high = np.array(box[:2]) - 2 * margin, np.array(box[2:]) + 2 * margin
    if ((drawn >= low) & (drawn <= high)).all(axis=1).any():
        return True
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]], np.float32)
    hull = cv2.convexHull(heart.astype(np.float32))
    return cv2.intersectConvexConvex(corners, hull)[0] > 0


def _with_strip(canvas: Canvas, width: int, height: int) -> Canvas:
    """A larger canvas with a black strip below the picture."""
    before = canvas.picture
    larger = np.zeros((before.shape[0] + height, max(before.shape[1], width), 3), np.uint8)
    larger[: before.shape[0], : before.shape[1]] = before
    return Canvas(larger, canvas.stroke)
