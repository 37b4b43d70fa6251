"""Which labels a mask holds, what they are called, and where each of them is: found off the GUI thread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from IMeasureLib.crop_region import MaskRegion

from .mask_grid import Mask


def labelsIn(mask: Mask, names: Mapping[str, int], fallback: str) -> dict[str, int]:
    """Name → value of the labels that a mask holds, by value.

    Args:
        names: of the model, or of its answer: name → value.
        fallback: names what nobody named.
    """
    values = [int(value) for value in np.flatnonzero(np.bincount(mask.ravel())) if value]
    byValue = {value: name for name, value in names.items()}
    if len(values) == 1 and values[0] not in byValue and len(names) == 1:
        return {next(iter(names)): values[0]}  # a mask of 1 for the model's only label, whatever its number
    return {byValue.get(value) or (fallback if len(values) == 1 else f"{fallback} {value}"): value for value in values}


def regionsOf(mask: Mask, labels: Mapping[str, int]) -> dict[str, MaskRegion]:
    """The voxels of each label in a tight box; labels without any are left out.

    A mask of a hundred labels is not looked at a hundred times: only the slices that hold a label are.
    """
    size = max(labels.values(), default=0) + 1
    present = np.array([np.bincount(plane.ravel(), minlength=size)[:size] > 0 for plane in mask])
    regions = {}
    for name, value in labels.items():
        slices = np.flatnonzero(present[:, value])
        if slices.size:
            first = int(slices[0])
            part = MaskRegion.of(mask[first : int(slices[-1]) + 1] == value)
            i, j, k = part.origin
            regions[name] = MaskRegion(part.array, (i, j, k + first))
    return regions
