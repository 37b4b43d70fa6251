"""A radiograph or photo as pixels, and how it gets into the size and form that the server takes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""(height, width) grey or (height, width, 3) RGB; rows from the top."""

MAX_BYTES = 10 * 1000 * 1000
"""The contract's "10 MB" for one image, in the smaller of the two meanings."""

MAX_SIDE = 4096
"""Longer pictures are made smaller first: the networks see less than a quarter of it."""

SQUARE_WITHIN = 1.001
"""Pixels whose sides differ by less than this ratio are square."""

WINDOW_PERCENTILES = (0.1, 99.9)


class PictureError(ValueError):
    """A picture cannot be used; the message says why."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels and their size.

    Attributes:
        pixels: (height, width) or (height, width, 3) uint8.
        spacing: mm between columns and between rows.
    """

    pixels: Pixels
    spacing: tuple[float, float] = (1.0, 1.0)

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def sizeMM(self) -> tuple[float, float]:
        """Width and height in mm."""
        return self.width * self.spacing[0], self.height * self.spacing[1]


@dataclass(frozen=True)
class EncodedPicture:
    """A PNG file in memory.

    Attributes:
        width, height: in pixels.
        reach: how far the file reaches in the picture that it was made of, as fractions of that picture's width and
            height: 1, or a trifle more after an odd side was halved. A point of the file as fractions, times this, is
            the point of the picture.
    """

    content: bytes
    width: int
    height: int
    reach: tuple[float, float] = (1.0, 1.0)


def eightBit(values: npt.NDArray[np.generic], inverted: bool = False) -> Pixels:
    """Grey values of any type as 0 to 255; a wider range than that of bytes is windowed to all but its outermost.

    Raises:
        PictureError: there are no values, or some are not numbers.
    """
    if values.size == 0:
        raise PictureError("The picture is empty.")
    if values.dtype == np.uint8:
        pixels = values.astype(np.uint8, copy=False)
    else:
        numbers = values.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise PictureError("The picture holds values that are not numbers.")
        low, high = (
            np.percentile(numbers[..., ::4], WINDOW_PERCENTILES)
            if numbers.size > 100_000
            else (
                numbers.min(),
                numbers.max(),
            )
        )
        scale = 255.0 / (high - low) if high > low else 0.0
        pixels = (np.clip((numbers - low) * scale, 0.0, 255.0) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(255 - pixels if inverted else pixels)


def withSquarePixels(picture: Picture) -> Picture:
    """The picture with pixels as wide as high, enlarged in one direction (linear interpolation) when they are not."""
    x, y = picture.spacing
    if max(x, y) / min(x, y) < SQUARE_WITHIN:
        return picture
    if x > y:
        width = max(1, round(picture.width * x / y))
        return Picture(_stretched(picture.pixels, width), (picture.sizeMM[0] / width, y))
    height = max(1, round(picture.height * y / x))
    turned = np.swapaxes(picture.pixels, 0, 1)
    pixels = np.ascontiguousarray(np.swapaxes(_stretched(turned, height), 0, 1))
    return Picture(pixels, (x, picture.sizeMM[1] / height))


def _stretched(pixels: Pixels, width: int) -> Pixels:
    """Columns resampled; the outer edges of the picture stay where they are."""
    before = pixels.shape[1]
    positions = np.clip((np.arange(width) + 0.5) * before / width - 0.5, 0, before - 1)
    left = np.minimum(positions.astype(int), max(before - 2, 0))
    share = (positions - left).astype(np.float32)
    if pixels.ndim == 3:
        share = share[:, None]
    right = np.minimum(left + 1, before - 1)
    mixed = pixels[:, left] * (1 - share) + pixels[:, right] * share
    return np.asarray(np.clip(mixed + 0.5, 0, 255), dtype=np.uint8)


def halved(pixels: Pixels) -> Pixels:
    """Every 2×2 pixels as their mean; an odd last row or column is repeated first."""
    rows, columns = pixels.shape[0] % 2, pixels.shape[1] % 2
    padding = [(0, rows), (0, columns)] + [(0, 0)] * (pixels.ndim - 2)
    even = np.pad(pixels, padding, mode="edge").astype(np.uint16)
    total = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def encoded(picture: Picture, maxBytes: int = MAX_BYTES) -> EncodedPicture:
    """A PNG of at most ``maxBytes`` with square pixels; halved in size until it fits.

    To be called from a background job: it takes some tenths of a second, without holding Python's lock for long.
    """
    pixels = withSquarePixels(picture).pixels
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        pixels = np.ascontiguousarray(pixels[..., 0])
    height, width = pixels.shape[:2]
    factor = 1
    while True:
        small = max(pixels.shape[:2]) <= MAX_SIDE
        content = encodePNG(pixels) if small else b""
        if small and (len(content) <= maxBytes or min(pixels.shape[:2]) < 64):
            reach = (pixels.shape[1] * factor / width, pixels.shape[0] * factor / height)
            return EncodedPicture(content, pixels.shape[1], pixels.shape[0], reach)
        pixels, factor = halved(pixels), factor * 2


def encodePNG(pixels: Pixels) -> bytes:
    """A PNG file. VTK's and Qt's writers would hold Python's lock, and so stop Slicer, while they compress."""
    height, width = pixels.shape[:2]
    bytesPerPixel = 1 if pixels.ndim == 2 else 3
    rows = np.ascontiguousarray(pixels).reshape(height, width * bytesPerPixel)
    filtered = np.empty((height, 1 + width * bytesPerPixel), np.uint8)
    filtered[:, 0] = 2  # PNG's filter "Up": each row as the difference to the one above it
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if bytesPerPixel == 1 else 2, 0, 0, 0)
    data = zlib.compress(filtered.tobytes(), 5)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
