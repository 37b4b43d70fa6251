"""Landmarks, axes and scale as strokes, dots and words on a picture: drawn as SVG here, with Qt in ``report_pdf``."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from .axes import COLORS, ENDS, scalePoints
from .landmarks import LANDMARK_NAMES, VERTEBRA_A, VERTEBRA_B, Points
from .scene_nodes import COLOR as LANDMARK_COLOR

SHORT_NAMES = ("heart_top", "heart_bottom", "heart_right", "heart_left", "VLAS", "A (T4)", "B")
Place = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    path: tuple[Place, ...]
    color: str


@dataclass(frozen=True)
class Dot:
    at: Place
    color: str


@dataclass(frozen=True)
class Words:
    at: Place
    text: str
    color: str


@dataclass(frozen=True)
class Drawing:
    """Everything in pixels of the picture; ``unit`` is a line's width, so that it is legible at any size."""

    strokes: tuple[Stroke, ...]
    dots: tuple[Dot, ...]
    words: tuple[Words, ...]
    unit: float


def drawingOf(points: Points, width: int, height: int, vertebrae: int) -> Drawing:
    """What to draw of landmarks (fractions) on a picture with square pixels."""
    pixels = points * (width, height)
    unit = max(width, height) / 500.0
    strokes = [Stroke(_path(pixels[list(ends)]), hexColor(COLORS[kind])) for kind, ends in ENDS.items()]
    scale = scalePoints(pixels[VERTEBRA_A], pixels[VERTEBRA_B], vertebrae)
    strokes.append(Stroke(_path(scale), hexColor(COLORS["vertebral scale"])))
    color = hexColor(LANDMARK_COLOR)
    dots = tuple(Dot(place, color) for place in _path(pixels))
    names = (*SHORT_NAMES[:-1], f"B (T{3 + vertebrae})")
    words = tuple(Words((x + 3 * unit, y - 3 * unit), name, color) for (x, y), name in zip(_path(pixels), names))
    assert len(names) == len(LANDMARK_NAMES), "one name for each landmark"
    return Drawing(tuple(strokes), dots, words, unit)


def _path(points: npt.ArrayLike) -> tuple[Place, ...]:
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in np.asarray(points))


def hexColor(color: tuple[float, float, float]) -> str:
    """Red, green and blue in 0 to 1 as ``#rrggbb``."""
    return "#" + "".join(f"{round(part * 255):02x}" for part in color)


def asSVG(drawing: Drawing, width: int, height: int, pictureURL: str) -> str:
    """The picture with the drawing on it, as one SVG element."""
    unit = drawing.unit
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="The radiograph with landmarks, axes and vertebral scale">',
        f'<image href="{escape(pictureURL)}" width="{width}" height="{height}"/>',
    ]
    for stroke in drawing.strokes:
        path = " ".join(f"{x},{y}" for x, y in stroke.path)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke.color}" stroke-width="{unit:.2f}"/>')
    for dot in drawing.dots:
        x, y = dot.at
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="{1.6 * unit:.2f}" fill="{dot.color}" stroke="#000" '
            f'stroke-width="{0.4 * unit:.2f}"/>'
        )
    for words in drawing.words:
        x, y = words.at
        parts.append(
            f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="{9 * unit:.1f}" fill="{words.color}" '
            f'stroke="#000" stroke-width="{1.6 * unit:.2f}" paint-order="stroke">{escape(words.text)}</text>'
        )
    return "\n".join([*parts, "</svg>"])
