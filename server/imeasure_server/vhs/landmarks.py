"""The seven landmarks of the RadAnalyzer V3 contract and how their coordinates are written.

Coordinates are continuous image coordinates: ``(x, y)`` in pixels, x to the right, y down, the outer corner of the
first pixel at (0, 0) and its centre at (0.5, 0.5). Normalised coordinates are these divided by (width, height).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

HEART_TOP, HEART_BOTTOM, HEART_RIGHT, HEART_LEFT, VLAS, VERTEBRA_A, VERTEBRA_B = range(7)

LANDMARK_NAMES = ("heart_top", "heart_bottom", "heart_right", "heart_left", "VLAS", "Vertebra A", "Vertebra B")
"""In the contract's order; the row of a landmark in every (7, 2) array of this package."""


def normalised(points: FloatArray, width: float, height: float) -> FloatArray:
    """Points in pixels as fractions of the image's width and height; shape (..., 2)."""
    result: FloatArray = points / np.array([width, height])
    return result


def in_pixels(fractions: FloatArray, width: float, height: float) -> FloatArray:
    """Normalised points in pixels; shape (..., 2)."""
    result: FloatArray = fractions * np.array([width, height])
    return result
