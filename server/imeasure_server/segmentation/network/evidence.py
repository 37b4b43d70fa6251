"""Whether the image shows an object where one click was answered: a network always sees something."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.extent import block_of
from imeasure_server.segmentation.network.cube import Float32Array

AIR = -930.0  # HU: the brightest that surely holds no tissue
LAYER = 2  # cells, at least
NEARBY = 2.0  # cells over which each layer is averaged
LEAST_CHANGE = 1.6


def only_air(image: Float32Array) -> bool:
    """Whether the middle of a CT's cube is air: not lung, which holds blood and walls.

    Args:
        image: (side, side, side) HU, the click in the middle.
    """
    middle = image.shape[0] // 2
    around = image[middle - 2 : middle + 2, middle - 2 : middle + 2, middle - 2 : middle + 2]
    return float(np.median(around)) < AIR


def change_across(image: Float32Array, mask: BoolArray, known: BoolArray, voxel: float = 1.0) -> float | None:
    """How much the image changes across a mask's boundary, against the change beside it.

    Layers of cells along the boundary are compared with their neighbours place by place: the two on either side of the
    boundary, the two just inside and the two just outside of it. Chance changes all of them alike.

    Args:
        image: (x, y, z) intensities.
        mask: (x, y, z).
        known: (x, y, z) where the image is; what lies beyond it is no evidence.
        voxel: edge of the image's own voxels, in cells: a boundary is not sharper than that.

    Returns:
        Median change across the boundary as a multiple of the lesser of the other two; None when it cannot be
        told, since the mask ends where the image ends.
    """
    layer = max(LAYER, round(voxel))
    block = block_of(mask, margin=2 * layer + int(2.0 * NEARBY) + 2)  # what lies farther away has no say
    image, mask, known = image[block], mask[block], known[block]
    depth = np.where(mask, ndimage.distance_transform_edt(mask), -ndimage.distance_transform_edt(~mask) + 1.0)
    edges = (2 * layer, layer, 0, -layer, -2 * layer)
    layers = [(depth > low) & (depth <= high) & known for high, low in itertools.pairwise(edges)]
    means = [_local_mean(image, cells) for cells in layers]
    inside, across, outside = (_median_change(first, second) for first, second in itertools.pairwise(means))
    beside = [value for value in (inside, outside) if value is not None]
    if across is None or not beside:
        return None
    return across / max(min(beside), 1e-6)


Local = tuple[Float32Array, Float32Array]


def _local_mean(image: Float32Array, layer: BoolArray) -> Local:
    """Mean of a layer's cells around each place, and how many of them there are."""
    weight = ndimage.gaussian_filter(layer.astype(np.float32), NEARBY, truncate=2.0)
    total = ndimage.gaussian_filter(np.where(layer, image, np.float32(0.0)), NEARBY, truncate=2.0)
    return total / np.maximum(weight, np.float32(1e-4)), weight


def _median_change(first: Local, second: Local) -> float | None:
    """Median difference where both layers are near; None when that is nowhere."""
    near = (first[1] > 0.05) & (second[1] > 0.05)
    return float(np.median(np.abs(first[0][near] - second[0][near]))) if near.any() else None
