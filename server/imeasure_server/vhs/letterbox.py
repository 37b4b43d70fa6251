"""A picture of any size as a network's input, and points back again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import FloatArray


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies in the input: scaled alike in x and y, black beside it.

    Attributes:
        scale: input pixels per pixel of the picture.
        left, top: of the picture in the input, in pixels.
    """

    scale: float
    left: float
    top: float

    def to_input(self, points: FloatArray) -> FloatArray:
        """Continuous pixel coordinates of the picture (..., 2) to those of the input."""
        moved: FloatArray = points * self.scale + np.array([self.left, self.top])
        return moved

    def to_picture(self, points: FloatArray) -> FloatArray:
        """Continuous pixel coordinates of the input (..., 2) to those of the picture."""
        moved: FloatArray = (points - np.array([self.left, self.top])) / self.scale
        return moved


def letterboxed(picture: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.float32], Letterbox]:
    """A grey (h, w) picture in a (height, width) input, 0 to 255, and where it lies there."""
    rows, columns = picture.shape
    scale = min(width / columns, height / rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas = np.zeros((height, width), np.float32)
    canvas[top : top + size[1], left : left + size[0]] = shrunk
    return canvas, Letterbox(scale, float(left), float(top))


def standardised(canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 over the input."""
    result: NDArray[np.float32] = (canvas - canvas.mean()) / max(float(canvas.std()), 1.0)
    return result
