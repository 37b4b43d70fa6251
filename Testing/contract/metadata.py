"""The metadata part of a request."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from contract.scan import Scan

_EXAMPLE: dict[str, Any] = {
    "id": "d286c20a-b2b1-40e4-ab46-0654b6fc3917",
    "clicks": [[-51.16, -138.12, -403.90], [-61.26, -76.11, -403.90]],
    "world_origin": [-202.0869140625, -338.0869140625, -783.9],
    "world_shape": [512, 512, 154],
    "world_spacing": [0.826171875, 0.826171875, 5],
    "rescale_intercept": -1024,
    "rescale_slope": 1,
    "image_orientation_patient": [1, 0, 0, 0, 1, 0],
    "crop_boundaries_world": [[-108.73, -159.63, -483.90], [-3.81, -54.71, -328.90]],
    "crop_boundaries_voxel": [[113, 216, 60], [240, 343, 91]],
    "crop_boundaries_unclipped_voxel": [[113, 216, 60], [240, 343, 91]],
    "crop_cuboid_center_voxel": [177, 280, 76],
    "shape": [128, 128, 32],
    "world_bounding_image_positions": [[-202.09, -338.09, -18.9], [-202.09, -338.09, -783.9]],
    "image_count": 154,
}


def example_metadata(**changes: Any) -> dict[str, Any]:
    """The contract's own example, with fields changed; a field given as ``...`` is left out."""
    return _changed(copy.deepcopy(_EXAMPLE), changes)


def scan_metadata(
    scan: Scan,
    clicks: list[Any],
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    unclipped: tuple[ArrayLike, ArrayLike] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """What a client tells about a crop of a scan (default: all of it); positions are rounded as in the contract.

    Args:
        clicks: as in the contract, LPS mm.
        lower, upper: first and last voxel of the crop.
        unclipped: the same before clipping to the scan (default: as clipped).
        changes: fields to replace; ``...`` leaves a field out.
    """
    size = np.array(scan.stored.shape)
    first = np.zeros(3, int) if lower is None else np.asarray(lower, int)
    last = size - 1 if upper is None else np.asarray(upper, int)
    wide = (first, last) if unclipped is None else tuple(np.asarray(corner, int) for corner in unclipped)
    metadata = {
        "id": str(uuid.UUID(int=np.random.default_rng(int(first.sum())).integers(1 << 62).item(), version=4)),
        "clicks": clicks,
        "world_origin": scan.origin.tolist(),
        "world_shape": size.tolist(),
        "world_spacing": scan.spacing.tolist(),
        "rescale_intercept": scan.intercept,
        "rescale_slope": scan.slope,
        "image_orientation_patient": [*scan.directions[:, 0].tolist(), *scan.directions[:, 1].tolist()],
        "crop_boundaries_world": [_rounded(scan.world(first)), _rounded(scan.world(last))],
        "crop_boundaries_voxel": [first.tolist(), last.tolist()],
        "crop_boundaries_unclipped_voxel": [wide[0].tolist(), wide[1].tolist()],
        "crop_cuboid_center_voxel": [int(value) for value in np.floor((wide[0] + wide[1]) / 2 + 0.5)],
        "shape": (last - first + 1).tolist(),
        "world_bounding_image_positions": [
            _rounded(scan.world([0, 0, size[2] - 1])),
            _rounded(scan.world([0, 0, 0])),
        ],
        "image_count": int(size[2]),
    }
    return _changed(metadata, changes)


def _rounded(point: list[float]) -> list[float]:
    return [round(value, 2) for value in point]


def _changed(metadata: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        if value is ...:
            metadata.pop(name, None)
        else:
            metadata[name] = value
    return metadata
