"""Lines, dots and text on a picture, antialiased, with a dark edge so that they stand out on bone as on lung."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imeasure_server.imaging.pictures import Picture
from imeasure_server.vhs.landmarks import FloatArray

Colour: TypeAlias = tuple[int, int, int]
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom."""

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

_SUBPIXEL_BITS = 4
FARTHEST = 1e5
"""Coordinates beyond this cannot be drawn: OpenCV computes with integers."""


class Canvas:
    """An RGB picture to draw on; coordinates are those of `vhs.landmarks`, in its pixels.

    Args:
        picture: (height, width, 3), drawn into.
        stroke: width of a plain line in pixels.
    """

    def __init__(self, picture: Picture, stroke: float) -> None:
        self.picture = np.ascontiguousarray(picture)
        self.stroke = stroke

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.picture.shape[1], self.picture.shape[0]

    def line(self, start: FloatArray, end: FloatArray, colour: Colour, thickness: float = 1.0) -> None:
        """A straight line, ``thickness`` in strokes."""
        width = max(1, round(self.stroke * thickness))
        edge = max(1, round(self.stroke * 0.5))
        for tone, breadth in ((BLACK, width + 2 * edge), (colour, width)):
            cv2.line(self.picture, _fixed(start), _fixed(end), tone, breadth, cv2.LINE_AA, _SUBPIXEL_BITS)

    def dashed(self, start: FloatArray, end: FloatArray, colour: Colour, thickness: float = 1.0) -> None:
        """A dashed line."""
        length = float(np.linalg.norm(end - start))
        dashes = min(400, int(length / (self.stroke * 8)))
        for index in range(dashes):
            first, last = (start + (end - start) * (index + part) / dashes for part in (0.0, 0.5))
            self.line(first, last, colour, thickness)

    def dot(self, centre: FloatArray, colour: Colour, radius: float = 2.5) -> None:
        """A disc with a dark ring around it; ``radius`` in strokes."""
        for tone, strokes in ((BLACK, radius + 0.8), (colour, radius)):
            size = round(self.stroke * strokes * (1 << _SUBPIXEL_BITS))
            cv2.circle(self.picture, _fixed(centre), size, tone, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)

    def text(self, words: str, centre: FloatArray, size: float, colour: Colour) -> None:
        """Words around a point; moved into the picture where they would leave it by half their size or less."""
        width, height = text_size(words, size)
        half = np.array([width, height]) / 2 + 2
        inside = np.clip(centre, np.minimum(half, self.size), np.maximum(np.array(self.size) - half, half))
        if np.abs(inside - centre).max() > max(width, height):
            return
        self.text_at(words, (inside[0] - width / 2, inside[1] - height / 2), size, colour)

    def text_at(
        self, words: str, left_top: tuple[float, float], size: float, colour: Colour, edged: bool = True
    ) -> None:
        """Words, their left upper corner given; ``edged`` with a dark edge."""
        edge = max(1, round(size / 9)) if edged else 0
        font = _font(round(size))
        left, top, right, bottom = font.getbbox(words, stroke_width=edge)
        area = (round(left_top[0]) - edge, round(left_top[1]) - edge)
        tile = Image.new("RGBA", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(tile).text(
            (-left, -top), words, fill=(*colour, 255), font=font, stroke_width=edge, stroke_fill=(*BLACK, 255)
        )
        self._composite(np.asarray(tile), area)

    def brightness(self, box: Box) -> float:
        """Mean of the picture in a rectangle that lies inside of it."""
        left, top, right, bottom = (round(value) for value in box)
        return float(self.picture[top:bottom, left:right].mean())

    def shade(self, box: Box, opacity: float) -> None:
        """Darken a rectangle."""
        left, top, right, bottom = (round(value) for value in box)
        part = self.picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        part[:] = np.rint(part * (1 - opacity)).astype(np.uint8)

    def fill(self, box: Box, colour: Colour) -> None:
        """Fill a rectangle."""
        left, top, right, bottom = (round(value) for value in box)
        self.picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = colour

    def _composite(self, tile: NDArray[np.uint8], left_top: tuple[int, int]) -> None:
        """Lay an RGBA tile over the picture."""
        left, top = left_top
        width, height = self.size
        rows = slice(max(0, top), max(0, min(height, top + tile.shape[0])))
        columns = slice(max(0, left), max(0, min(width, left + tile.shape[1])))
        part = self.picture[rows, columns]
        seen = tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left].astype(np.float32)
        share = seen[:, :, 3:] / 255
        part[:] = np.rint(part * (1 - share) + seen[:, :, :3] * share).astype(np.uint8)


def text_size(words: str, size: float) -> tuple[float, float]:
    """Width of the words and height of a line, in pixels."""
    font = _font(round(size))
    return float(font.getlength(words)), float(sum(font.getmetrics()))


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that Pillow carries (Aileron: Latin letters and digits, no dashes); nothing is sought on the disc."""
    font = ImageFont.load_default(max(8, size))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _fixed(point: FloatArray) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates, whose pixel centres are at whole numbers."""
    x, y = np.rint((np.clip(point, -FARTHEST, FARTHEST) - 0.5) * (1 << _SUBPIXEL_BITS))
    return int(x), int(y)
