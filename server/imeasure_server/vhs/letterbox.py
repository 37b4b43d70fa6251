"""A picture of any size as a network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def letterboxed(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """A grey (h, w) picture in the middle of a black (height, width) input, scaled alike in x and y; 0 to 255."""
    rows, columns = picture.shape
    scale = min(width / columns, height / rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas = np.zeros((height, width), np.float32)
    canvas[top : top + size[1], left : left + size[0]] = shrunk
    return canvas


def standardised(canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 over the input."""
    result: NDArray[np.float32] = (canvas - canvas.mean()) / max(float(canvas.std()), 1.0)
    return result
