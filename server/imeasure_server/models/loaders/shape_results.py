"""What AIAA's ``ExtremePointsd`` and ``BoundingBoxd`` tell of a mask."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from imeasure_server.models.inference import LabelArray


def shape_results(mask: LabelArray, wanted: Collection[str]) -> dict[str, Any]:
    """The results that the transforms of these names put into an answer, in voxel indices of the image.

    ``points``: the voxels of the mask that lie farthest along each axis, lowest and highest x, then y, then z.
    ``bbox``: lowest and highest index along each axis.
    """
    results: dict[str, Any] = {}
    if not {"ExtremePointsd", "BoundingBoxd"} & set(wanted):
        return results
    voxels = np.argwhere(mask)
    if len(voxels) == 0:
        return results
    if "ExtremePointsd" in wanted:
        ends = [(voxels[:, axis].argmin(), voxels[:, axis].argmax()) for axis in range(voxels.shape[1])]
        results["points"] = [voxels[index].tolist() for pair in ends for index in pair]
    if "BoundingBoxd" in wanted:
        results["bbox"] = [voxels.min(axis=0).tolist(), voxels.max(axis=0).tolist()]
    return results
