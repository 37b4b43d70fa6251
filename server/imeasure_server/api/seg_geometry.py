"""Where the crop of a ``POST /seg`` request lies: its geometry, and what in the metadata contradicts what."""

from __future__ import annotations

from typing import Any

import numpy as np

from imeasure_server.api.seg_schema import FieldErrors
from imeasure_server.imaging.volume import FloatArray, Geometry

ORTHONORMAL_TOLERANCE = 1e-3
VOXEL_TOLERANCE = 1.01  # positions on the wire are rounded, and some clients give a corner voxel's face


def scan_geometry(values: dict[str, Any], errors: FieldErrors) -> Geometry | None:
    """The geometry of the whole scan, or None when the fields that it is made from are wrong.

    The x and y axes are the row and column vectors of ``image_orientation_patient``. The slice axis is their normal, on
    the side where ``world_bounding_image_positions`` places the image that is farther from ``world_origin``: a scan
    whose slices are stored from head to feet is as good as any. With a single image it is the cross product.

    Args:
        values: the valid fields of the metadata.
        errors: messages per field; added to.
    """
    axes = _in_plane_axes(values, errors)
    if axes is None or not {"world_origin", "world_shape", "world_spacing"} <= values.keys():
        return None
    origin = np.array(values["world_origin"])
    spacing = np.array(values["world_spacing"])
    normal = np.cross(axes[0], axes[1])
    anchors = values.get("world_bounding_image_positions")
    if anchors is not None:
        offsets = np.array(anchors) - origin
        farther = offsets[int(np.argmax(np.linalg.norm(offsets, axis=1)))]
        if farther @ normal < 0:
            normal = -normal
    directions = np.column_stack([axes[0], axes[1], normal])
    geometry = Geometry.from_axes(origin, spacing, directions, tuple(values["world_shape"]))
    if anchors is not None:
        _check_anchors(np.array(anchors), geometry, errors)
    return geometry


def check_crop(values: dict[str, Any], scan: Geometry | None, errors: FieldErrors) -> None:
    """Add a message for every field about the crop that contradicts another one."""
    crop = _box(values, "crop_boundaries_voxel", errors)
    unclipped = _box(values, "crop_boundaries_unclipped_voxel", errors)
    if crop is not None and "world_shape" in values and not _within(crop, values["world_shape"]):
        _add(errors, "crop_boundaries_voxel", "Must lie inside world_shape.")
    if crop is not None and unclipped is not None and ((unclipped[0] > crop[0]) | (unclipped[1] < crop[1])).any():
        _add(errors, "crop_boundaries_unclipped_voxel", "Must contain crop_boundaries_voxel.")
    if crop is not None and "shape" in values:
        expected = (crop[1] - crop[0] + 1).astype(int).tolist()
        if values["shape"] != expected:
            _add(errors, "shape", f"Does not match crop_boundaries_voxel, which are inclusive: expected {expected}.")
    if unclipped is not None and "crop_cuboid_center_voxel" in values:
        centre = np.array(values["crop_cuboid_center_voxel"])
        if ((centre < unclipped[0] - 1) | (centre > unclipped[1] + 1)).any():
            _add(errors, "crop_cuboid_center_voxel", "Must lie inside crop_boundaries_unclipped_voxel.")
    if {"image_count", "world_shape"} <= values.keys() and values["image_count"] != values["world_shape"][2]:
        _add(errors, "image_count", "Must equal the third number of world_shape.")
    if crop is not None and scan is not None and "crop_boundaries_world" in values:
        _check_world_corners(np.array(values["crop_boundaries_world"]), crop, scan, errors)


def _in_plane_axes(values: dict[str, Any], errors: FieldErrors) -> FloatArray | None:
    """(2, 3): unit vectors of the x and y axes, made exactly perpendicular; None when they are not nearly so."""
    if "image_orientation_patient" not in values:
        return None
    row, column = np.array(values["image_orientation_patient"]).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(row @ column)) > ORTHONORMAL_TOLERANCE:
        _add(errors, "image_orientation_patient", "Must be two perpendicular vectors of length 1.")
        return None
    row = row / lengths[0]
    column = column - (column @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])


def _check_anchors(anchors: FloatArray, scan: Geometry, errors: FieldErrors) -> None:
    """The first and last image must be slice 0 and the last slice of the scan, within a voxel or a millimetre.

    Positions that wander sideways are those of a tilted gantry: then no orthogonal grid says where a voxel is, and
    guessing would put the mask in the wrong place.
    """
    extent = (np.array(scan.shape) - 1) * scan.spacing
    tolerance = VOXEL_TOLERANCE * np.maximum(scan.spacing, 1.0) + 2e-3 * extent[2]
    offsets = scan.to_voxel(anchors) * scan.spacing
    offsets = offsets[np.argsort(np.linalg.norm(offsets, axis=1))]
    expected = np.array([[0, 0, 0], [0, 0, extent[2]]])
    if (np.abs(offsets - expected) > tolerance).any():
        _add(
            errors,
            "world_bounding_image_positions",
            "Does not agree with world_origin, image_orientation_patient, world_shape and world_spacing.",
        )


def _check_world_corners(corners: FloatArray, crop: FloatArray, scan: Geometry, errors: FieldErrors) -> None:
    """The corners may be those of the first and last voxel, or the smallest and greatest of each coordinate."""
    of_voxels = np.abs(scan.to_voxel(corners) - crop).max() <= VOXEL_TOLERANCE
    x, y, z = (crop[:, axis] for axis in range(3))
    eight = scan.to_world(np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3))
    extremes = np.stack([eight.min(axis=0), eight.max(axis=0)])
    voxel_extent = np.abs(scan.affine[:3, :3]).sum(axis=1)
    if not of_voxels and (np.abs(corners - extremes) > VOXEL_TOLERANCE * voxel_extent).any():
        _add(errors, "crop_boundaries_world", "Does not agree with crop_boundaries_voxel and the scan's geometry.")


def _box(values: dict[str, Any], name: str, errors: FieldErrors) -> FloatArray | None:
    if name not in values:
        return None
    box = np.array(values[name], dtype=np.float64)
    if (box[0] > box[1]).any():
        _add(errors, name, "The first corner must not be greater than the second.")
        return None
    return box


def _within(box: FloatArray, shape: list[int]) -> bool:
    return bool((box[0] >= 0).all() and (box[1] < np.array(shape)).all())


def _add(errors: FieldErrors, name: str, message: str) -> None:
    errors.setdefault(name, []).append(message)
