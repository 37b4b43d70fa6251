"""The annotated picture: the heart's axes, the vertebral scale from T4 with both axes laid along it, the scores.

The drawing is Buchanan's (J Am Vet Med Assoc 206 (1995) 194): long and short axis are carried over to the vertebral
column, side by side from the cranial edge of T4, and read there in vertebrae. Colours are Okabe and Ito's, which people
with any kind of colour vision tell apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from imeasure_server.imaging.pictures import Picture
from imeasure_server.vhs.canvas import FARTHEST, Canvas, Colour
from imeasure_server.vhs.landmarks import (
    HEART_BOTTOM,
    HEART_LEFT,
    HEART_RIGHT,
    HEART_TOP,
    VERTEBRA_A,
    VERTEBRA_B,
    VLAS,
    FloatArray,
)
from imeasure_server.vhs.panel import Panel
from imeasure_server.vhs.results import Confidence
from imeasure_server.vhs.score import VERTEBRAE, Score

LONG_AXIS: Colour = (230, 159, 0)
SHORT_AXIS: Colour = (86, 180, 233)
SPINE: Colour = (240, 228, 66)
ATRIUM: Colour = (204, 121, 167)

SMALLEST, LARGEST = 1000, 2000
"""Longer side of the result in pixels: smaller pictures are enlarged, so that text is legible, larger ones reduced."""

_FIRST_VERTEBRA = 4
_THORACIC, _LUMBAR = 13, 7

_LABELS = ("top", "bottom", "right", "left", "VLAS", "A", "B")
_COLOURS = (LONG_AXIS, LONG_AXIS, SHORT_AXIS, SHORT_AXIS, ATRIUM, SPINE, SPINE)


def render(
    picture: Picture, landmarks: FloatArray, score: Score, confidence: Confidence, vertebrae: float = VERTEBRAE
) -> Picture:
    """Draw landmarks and scores.

    Args:
        picture: (height, width) grey or (height, width, 3) RGB, 8 bits, of any size.
        landmarks: (7, 2) in its pixels; they may lie outside of it.
        score: of these landmarks; without a VHS the panel says why there is none.
        confidence: in words on the panel.
        vertebrae: how many vertebral bodies A–B spans.

    Returns:
        RGB with the picture's proportions and a longer side of `SMALLEST` to `LARGEST` pixels. Only where no corner is
        free of drawing is a strip for the scores added below.

    Raises:
        ValueError: the landmarks are not (7, 2) or not finite.
    """
    points = np.asarray(landmarks, float)
    if points.shape != (7, 2) or not np.isfinite(points).all():
        raise ValueError("Landmarks are seven finite points (x, y).")
    enlarged, scale = _resized(picture)
    points = np.clip(points * scale, -FARTHEST, FARTHEST)
    longer = max(enlarged.shape)
    canvas = Canvas(enlarged, stroke=longer / 650)
    small = longer / 60
    drawn = [*_draw_vertebral_scale(canvas, points, score, vertebrae, small), *_draw_heart(canvas, points, small)]
    panel = Panel.of(score, confidence, vertebrae, longer / 54, (LONG_AXIS, SHORT_AXIS, ATRIUM))
    return panel.drawn_on(canvas, np.concatenate(drawn), points[[HEART_TOP, HEART_LEFT, HEART_BOTTOM, HEART_RIGHT]])


def _resized(picture: Picture) -> tuple[Picture, FloatArray]:
    """RGB of a size to draw on, and the factors (x, y) from the picture's coordinates to its own."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    factor = min(max(longer, SMALLEST), LARGEST) / longer
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture.copy()
    if factor != 1:
        colour = cv2.resize(colour, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    return np.asarray(colour, np.uint8), np.array([size[0] / width, size[1] / height])


def _draw_heart(canvas: Canvas, points: FloatArray, small: float) -> list[FloatArray]:
    """Axes, VLAS line and dots with their names; returns points along what was drawn."""
    drawn = []
    centre = points[[HEART_TOP, HEART_BOTTOM, HEART_RIGHT, HEART_LEFT]].mean(axis=0)
    lines = ((HEART_TOP, HEART_BOTTOM), (HEART_RIGHT, HEART_LEFT), (HEART_TOP, VLAS))
    for start, end in lines:
        canvas.line(points[start], points[end], _COLOURS[end])
    for index, (name, colour) in enumerate(zip(_LABELS, _COLOURS, strict=True)):
        canvas.dot(points[index], colour)
        if index not in (VERTEBRA_A, VERTEBRA_B):
            away = _unit_vector(points[index] - centre)
            place = points[index] + away * small * (1.1 + 0.22 * len(name))
            canvas.text(name, place, small, colour)
            drawn.append(_along(points[index], place + 2 * (place - points[index]) / 3, 5))
    return drawn + [_along(points[start], points[end]) for start, end in lines]


@dataclass(frozen=True)
class _Spine:
    """The vertebral line: its origin A, the vector of one vertebra, and a unit vector away from the heart."""

    origin: FloatArray
    vertebra: FloatArray
    outward: FloatArray

    def at(self, vertebrae: float, outward: float = 0.0) -> FloatArray:
        """The point so many vertebrae from A and so many vertebral lengths away from the heart."""
        return self.origin + vertebrae * self.vertebra + outward * self.length * self.outward

    @property
    def length(self) -> float:
        return math.hypot(*self.vertebra)


def _spine(points: FloatArray, vertebrae: float) -> _Spine | None:
    """None where A and B coincide."""
    vertebra = (points[VERTEBRA_B] - points[VERTEBRA_A]) / vertebrae
    direction = _unit_vector(vertebra)
    if not direction.any():
        return None
    outward = np.array([direction[1], -direction[0]])
    heart = points[[HEART_TOP, HEART_BOTTOM, HEART_RIGHT, HEART_LEFT]].mean(axis=0) - points[VERTEBRA_A]
    return _Spine(points[VERTEBRA_A], vertebra, -outward if outward @ heart > 0 else outward)


def _draw_vertebral_scale(
    canvas: Canvas, points: FloatArray, score: Score, vertebrae: float, small: float
) -> list[FloatArray]:
    """The line from A with a tick at every vertebra and both axes beside it; returns points along what was drawn."""
    spine = _spine(points, vertebrae)
    if spine is None:
        return []
    axes = [length for length in (score.long_axis, score.short_axis) if math.isfinite(length)]
    reach = min(max([vertebrae, *axes]), float(_THORACIC + _LUMBAR - _FIRST_VERTEBRA + 1))
    end = math.ceil(reach - 1e-6)
    canvas.line(spine.at(0), spine.at(vertebrae), SPINE, 0.8)
    if end > vertebrae:
        canvas.dashed(spine.at(vertebrae), spine.at(end), SPINE, 0.6)
    for tick in range(end + 1):
        half = 0.28 if tick <= vertebrae else 0.18
        canvas.line(spine.at(tick, -half), spine.at(tick, half), SPINE, 0.6)
    offsets = _bar_offsets(canvas, spine, end)
    _name_vertebrae(canvas, spine, vertebrae, end, -1.0 if offsets[0] > 0 else 1.0, small)
    for offset, length, colour in zip(
        offsets, (score.long_axis, score.short_axis), (LONG_AXIS, SHORT_AXIS), strict=True
    ):
        if math.isfinite(length):
            _draw_bar(canvas, spine, min(length, end), offset, colour)
    return [_along(spine.at(0), spine.at(end)), _along(spine.at(0, offsets[1]), spine.at(end, offsets[1]))]


def _name_vertebrae(canvas: Canvas, spine: _Spine, vertebrae: float, end: int, side: float, small: float) -> None:
    """Names of the vertebrae on one side of the line (1 away from the heart, -1 towards it), and of its ends."""
    size = float(np.clip(spine.length * 0.4, small * 0.55, small))  # room between neighbouring names
    for index in range(end):
        canvas.text(_vertebra_name(index), spine.at(index + 0.5, 0.45 * side), size, SPINE)
    beyond = _unit_vector(spine.vertebra) * small * 1.3
    canvas.text("A", spine.at(0) - beyond, small, SPINE)
    if end > vertebrae:  # the line goes on: below the names
        canvas.text("B", spine.at(vertebrae, 0.45 * side) + side * spine.outward * small * 1.4, small, SPINE)
    else:
        canvas.text("B", spine.at(vertebrae) + beyond, small, SPINE)


def _draw_bar(canvas: Canvas, spine: _Spine, length: float, offset: float, colour: Colour) -> None:
    """An axis laid along the spine, with its ends marked."""
    canvas.line(spine.at(0, offset), spine.at(length, offset), colour, 1.2)
    for end in (0.0, length):
        canvas.line(spine.at(end, offset - 0.12), spine.at(end, offset + 0.12), colour, 1.2)


def _bar_offsets(canvas: Canvas, spine: _Spine, end: float) -> tuple[float, float]:
    """How far from the spine the bars of the two axes lie: away from the heart if the picture goes that far."""
    outermost = np.stack([spine.at(part * end, 0.8) for part in (0.0, 0.5, 1.0)])
    inside = (outermost >= 0).all(axis=1) & (outermost <= np.array(canvas.size)).all(axis=1)
    return (0.45, 0.75) if inside.sum() >= 2 else (-0.45, -0.75)


def _vertebra_name(index: int) -> str:
    """T4 for 0; a dog has thirteen thoracic vertebrae."""
    number = _FIRST_VERTEBRA + index
    return f"T{number}" if number <= _THORACIC else f"L{number - _THORACIC}"


def _along(start: FloatArray, end: FloatArray, count: int = 40) -> FloatArray:
    """Points on a straight line; shape (count, 2)."""
    return start + np.linspace(0, 1, count)[:, None] * (end - start)


def _unit_vector(vector: FloatArray) -> FloatArray:
    length = math.hypot(*vector)
    return vector / length if length > 0 else np.zeros(2)
