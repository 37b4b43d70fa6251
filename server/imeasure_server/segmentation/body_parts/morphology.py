"""Balls of a radius in mm: dilation, erosion, opening and closing by distances."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.extent import Block, block_of


def grown(mask: BoolArray, radius: float, spacing: FloatArray) -> BoolArray:
    """All voxels within ``radius`` mm of a mask."""
    result = np.zeros_like(mask)
    block = block_of(mask, margin=int(np.ceil(radius / float(spacing.min()))) + 1)
    part = mask[block]
    if part.any():
        result[block] = ndimage.distance_transform_edt(~part, sampling=spacing) <= radius
    return result


def shrunk(mask: BoolArray, radius: float, spacing: FloatArray) -> BoolArray:
    """The voxels of a mask farther than ``radius`` mm from its outside; what lies beyond the image is no outside."""
    result = np.zeros_like(mask)
    block = block_of(mask, margin=1)
    part = mask[block]
    if part.all():
        return mask.copy()
    result[block] = ndimage.distance_transform_edt(part, sampling=spacing) > radius
    return result


def opened(mask: BoolArray, radius: float, spacing: FloatArray) -> BoolArray:
    """A mask without what is thinner than twice ``radius`` mm."""
    return np.asarray(grown(shrunk(mask, radius, spacing), radius, spacing) & mask)


def closed(mask: BoolArray, radius: float, spacing: FloatArray) -> BoolArray:
    """A mask with gaps narrower than twice ``radius`` mm filled."""
    return np.asarray(shrunk(grown(mask, radius, spacing), radius, spacing) | mask)


def filled_slices(mask: BoolArray) -> BoolArray:
    """A mask with the holes of every slice across z filled."""
    result = np.empty_like(mask)
    for k in range(mask.shape[2]):
        result[:, :, k] = ndimage.binary_fill_holes(mask[:, :, k])
    return result


def components(mask: BoolArray, least: float) -> BoolArray:
    """The connected parts of a mask with at least ``least`` voxels."""
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    kept = np.bincount(labels.ravel()) >= least
    kept[0] = False
    return np.asarray(kept[labels])


def widened(block: tuple[slice, ...], shape: tuple[int, ...], margin: int = 1) -> Block:
    """A block with ``margin`` more voxels each way, as far as there are any."""
    x, y, z = (slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(block, shape, strict=True))
    return x, y, z
