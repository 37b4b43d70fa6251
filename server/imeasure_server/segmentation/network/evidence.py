"""Whether the image shows an object where one click was answered: a network always sees something."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.network.cube import Float32Array

AIR = -930.0  # HU: the brightest that surely holds no tissue
SHELL = 2  # cells on each side of the boundary
LEAST_CHANGE = 0.35  # across the boundary, in standard deviations of what lies on either side of it


def only_air(image: Float32Array) -> bool:
    """Whether the middle of a CT's cube is air: not lung, which holds blood and walls.

    Args:
        image: (side, side, side) HU, the click in the middle.
    """
    middle = image.shape[0] // 2
    around = image[middle - 2 : middle + 2, middle - 2 : middle + 2, middle - 2 : middle + 2]
    return float(np.median(around)) < AIR


def change_across(image: Float32Array, mask: BoolArray, known: BoolArray) -> float:
    """How much the image changes across a mask's boundary.

    Args:
        image: (x, y, z) intensities.
        mask: (x, y, z).
        known: (x, y, z) where the image is; what lies beyond it is no evidence.

    Returns:
        Difference of the means of the two layers along the boundary, in their standard deviations; 0 when one of the
        layers is empty.
    """
    layer = ndimage.generate_binary_structure(3, 1)
    inner = mask & ~ndimage.binary_erosion(mask, layer, iterations=SHELL, border_value=1) & known
    outer = ndimage.binary_dilation(mask, layer, iterations=SHELL) & ~mask & known
    if not inner.any() or not outer.any():
        return 0.0
    inside, outside = image[inner], image[outer]
    spread = float(np.sqrt((inside.var() + outside.var()) / 2.0))
    return abs(float(inside.mean() - outside.mean())) / max(spread, 1e-6)
