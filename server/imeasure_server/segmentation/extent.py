"""Where a mask is: work on the block that holds it costs what the object's size says, not the volume's."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import BoolArray

Block = tuple[slice, slice, slice]


def block_of(mask: BoolArray, margin: int = 0) -> Block:
    """The smallest block that holds a mask and ``margin`` voxels around it; of no voxels for an empty mask."""
    parts = []
    block: list[slice] = [slice(None)] * 3
    for axis in (2, 1, 0):  # what is left out along one axis need not be read for the next
        along = np.flatnonzero(mask[tuple(block)].any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(along):
            return slice(0, 0), slice(0, 0), slice(0, 0)
        block[axis] = slice(int(along[0]), int(along[-1]) + 1)
    for part, n in zip(block, mask.shape, strict=True):
        parts.append(slice(max(0, part.start - margin), min(n, part.stop + margin)))
    return parts[0], parts[1], parts[2]
