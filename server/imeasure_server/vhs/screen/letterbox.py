"""A picture of any size as the network's square input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.screen.architecture import SIDE

Picture: TypeAlias = NDArray[np.uint8]
FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Letterbox:
    """A picture in the middle of a black square.

    Attributes:
        square: (SIDE, SIDE, 3) RGB.
        scale: (2,) square pixels per picture pixel in x and y (they differ by the rounding of the size).
        offset: (2,) of the picture's upper left corner in the square, in pixels.
    """

    square: Picture
    scale: FloatArray
    offset: FloatArray

    def to_square(self, points: FloatArray) -> FloatArray:
        """Points of the picture (..., 2) in the square."""
        return points * self.scale + self.offset

    def to_picture(self, points: FloatArray) -> FloatArray:
        """Points of the square (..., 2) in the picture."""
        return (points - self.offset) / self.scale


def letterboxed(picture: Picture) -> Letterbox:
    """Fit a picture, (h, w) grey or (h, w, 3) RGB, into the network's square."""
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)
    offset = ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2)
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    inner = square[offset[1] : offset[1] + size[1], offset[0] : offset[0] + size[0]]
    inner[:] = small[..., None] if small.ndim == 2 else small
    return Letterbox(square, np.array([size[0] / width, size[1] / height]), np.array(offset, float))
