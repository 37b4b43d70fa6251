"""Edits of a mask that an area asks for: all of it on its own slice, less and less on the slices beside it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.areas import Area
from imeasure_server.segmentation.binding import LEAST_VOXELS, Edit
from imeasure_server.segmentation.prompts import Index


def area_edit(
    area: Area, positive: bool, mask: BoolArray, contrary: Iterable[Index], spacing: FloatArray
) -> Edit | None:
    """The edit that makes an area part of the object, or not; None when it already is so.

    Args:
        area: of the mask's volume.
        positive: whether the object has it.
        mask: (x, y, z) bool.
        contrary: voxels that clicks keep as they are.
        spacing: (3,) mm.
    """
    inside = area.inside.copy()
    plane = [axis for axis in range(3) if axis != area.axis]
    for voxel in contrary:
        if voxel[area.axis] == area.index:
            inside[voxel[plane[0]], voxel[plane[1]]] = False
    if not (inside & (area.on(mask) != positive)).any():
        return None
    depths = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing[plane])[1:-1, 1:-1]
    radius = float(depths.max())
    found = np.argwhere(inside)
    reach = int(np.ceil(radius / spacing[area.axis]))
    block: list[slice] = [slice(0, 0)] * 3
    block[area.axis] = slice(max(0, area.index - reach), min(mask.shape[area.axis], area.index + reach + 1))
    for a, axis in enumerate(plane):
        block[axis] = slice(int(found[:, a].min()), int(found[:, a].max()) + 1)
    local = depths[block[plane[0]], block[plane[1]]]
    away = np.abs(np.arange(block[area.axis].start, block[area.axis].stop) - area.index) * spacing[area.axis]
    narrowed = np.where(away < radius, radius - np.sqrt(np.maximum(radius**2 - away**2, 0.0)), np.inf)
    region = np.moveaxis(local[None] > narrowed[:, None, None], 0, area.axis)
    core = np.zeros_like(region)
    np.moveaxis(core, area.axis, 0)[area.index - block[area.axis].start] = local > 0
    middle = found[int(((found - found.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    x, y, z = (int(v) for v in np.insert(middle, area.axis, area.index))
    depth = max(radius, LEAST_VOXELS * float(spacing.min()))
    return Edit(positive, (x, y, z), depth, (block[0], block[1], block[2]), core, region | core)
