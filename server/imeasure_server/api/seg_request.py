"""From the parts of a ``POST /seg`` form to a checked request. No HTTP here: the parts are already read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.api.multipart import Part, PartLimit, PartLimits
from imeasure_server.api.seg_geometry import check_crop, scan_geometry
from imeasure_server.api.seg_prompts import build_prompts, check_clicks, click_groups
from imeasure_server.api.seg_schema import MAX_VOXELS_PER_AXIS, FieldErrors, validate_fields
from imeasure_server.errors import (
    CropSizeTooSmall,
    ImageDataSizeMismatch,
    MaskShapeMismatch,
    MetadataMalformedJson,
    MissingImage,
    MissingMetadata,
    RequestInvalid,
)
from imeasure_server.imaging.volume import BoolArray, Geometry, Volume
from imeasure_server.segmentation.padding import Padding
from imeasure_server.segmentation.prompts import Prompts

MAX_METADATA_BYTES = 1 << 20
EAGER_METADATA_BYTES = 1 << 16
MINIMUM_CROP = (64, 64, 16)
BYTES_PER_VOXEL = {"image": 2, "mask": 1}


@dataclass(frozen=True, eq=False)
class SegRequest:
    """One request, checked.

    Attributes:
        id: echoed in the answer.
        volume: the crop in HU.
        prompts: in voxels of the crop.
        origin_voxel: the crop's first voxel in the scan.
        spacing: voxel size in mm as the client wrote it.
        padding: voxels that the crop lacks of what the client asked for, because the scan ends.
    """

    id: str
    volume: Volume
    prompts: Prompts
    origin_voxel: tuple[int, int, int]
    spacing: tuple[float, float, float]
    padding: Padding


def part_limits(max_body_bytes: int) -> PartLimits:
    """What to keep of each part: of image and mask, what the shape allows as soon as the metadata is known."""

    def limit(name: str, complete: Mapping[str, Part]) -> PartLimit | None:
        if name == "metadata":
            return PartLimit(min(MAX_METADATA_BYTES, max_body_bytes), strict=True)
        if name not in BYTES_PER_VOXEL:
            return None
        metadata = complete.get("metadata")
        if metadata is None or metadata.size > EAGER_METADATA_BYTES:
            return PartLimit(max_body_bytes)
        return PartLimit(min(_declared_voxels(metadata) * BYTES_PER_VOXEL[name], max_body_bytes))

    return limit


def parse_request(parts: Mapping[str, Part], max_voxels: int) -> SegRequest:
    """Check everything that the contract and its table of errors ask for.

    Args:
        parts: ``metadata``, ``image`` and perhaps ``mask``.
        max_voxels: most voxels that a crop may have with its padding.

    Raises:
        ApiError: a row of the contract's table.
    """
    if "metadata" not in parts:
        raise MissingMetadata
    if "image" not in parts:
        raise MissingImage
    values, scan = _checked_metadata(_json_object(parts["metadata"]), "mask" in parts)
    shape: tuple[int, int, int] = tuple(values["shape"])
    voxels = int(np.prod(shape, dtype=np.int64))
    mask = parts.get("mask")
    if parts["image"].size != 2 * voxels:
        raise ImageDataSizeMismatch(2 * voxels, parts["image"].size)
    if mask is not None and mask.size != voxels:
        raise MaskShapeMismatch(voxels, mask.size)
    previous = None if mask is None else _mask_array(mask, shape)
    padding = _padding(values, max_voxels)
    lower = values["crop_boundaries_voxel"][0]
    crop = scan.cropped(lower, shape)
    prompts = build_prompts(click_groups(values["clicks"]), values["magic_pen_points"] or [], crop, previous)
    if prompts.is_empty:
        raise RequestInvalid({"mask": ["Must not be empty when there is no positive click and no pen stroke."]})
    return SegRequest(
        id=values["id"],
        volume=Volume(_hounsfield(parts["image"], shape, values), crop),
        prompts=prompts,
        origin_voxel=tuple(lower),
        spacing=tuple(values["world_spacing"]),
        padding=padding,
    )


def _checked_metadata(content: dict[str, Any], has_mask: bool) -> tuple[dict[str, Any], Geometry]:
    values, errors = validate_fields(content)
    check_clicks(values, has_mask, errors)
    scan = scan_geometry(values, errors)
    check_crop(values, scan, errors)
    if errors or scan is None:
        raise RequestInvalid(_in_schema_order(errors))
    return values, scan


def _in_schema_order(errors: FieldErrors) -> FieldErrors:
    return {name: errors[name] for name in sorted(errors)}


def _json_object(part: Part) -> dict[str, Any]:
    try:
        content = json.loads(bytes(part.data).decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MetadataMalformedJson from error
    if not isinstance(content, dict):
        raise RequestInvalid({"metadata": ["Not a valid object."]})
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON.")


def _declared_voxels(metadata: Part) -> int:
    """Voxels of the declared shape; 0 when there is no usable one, since the answer will then be an error."""
    try:
        shape = json.loads(bytes(metadata.data))["shape"]
        counts = [int(count) for count in shape]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return 0
    if len(counts) != 3 or not all(0 < count <= MAX_VOXELS_PER_AXIS for count in counts):
        return 0
    return counts[0] * counts[1] * counts[2]


def _mask_array(part: Part, shape: tuple[int, int, int]) -> BoolArray:
    values = np.frombuffer(part.data, dtype=np.uint8)
    if values.max(initial=0) > 1:
        raise RequestInvalid({"mask": ["Every byte must be 0 or 1."]})
    return values.astype(np.bool_).reshape(shape, order="F")


def _hounsfield(part: Part, shape: tuple[int, int, int], values: dict[str, Any]) -> npt.NDArray[np.float32]:
    stored = np.frombuffer(part.data, dtype="<i2").reshape(shape, order="F")
    hounsfield = stored.astype(np.float32)
    if values["rescale_slope"] != 1:
        hounsfield *= np.float32(values["rescale_slope"])
    hounsfield += np.float32(values["rescale_intercept"])
    return hounsfield


def _padding(values: dict[str, Any], max_voxels: int) -> Padding:
    """What the scan's end cut off the crop.

    Raises:
        CropSizeTooSmall: the crop was too small before it was cut.
        RequestInvalid: it was larger than the server takes.
    """
    crop = np.array(values["crop_boundaries_voxel"], dtype=np.int64)
    unclipped = np.array(values["crop_boundaries_unclipped_voxel"], dtype=np.int64)
    size = unclipped[1] - unclipped[0] + 1
    if (size < MINIMUM_CROP).any():
        raise CropSizeTooSmall({"crop_size": size.tolist(), "minimum_size": list(MINIMUM_CROP)})
    if int(np.prod(size)) > max_voxels:
        raise RequestInvalid({"crop_boundaries_unclipped_voxel": [f"Must not hold more than {max_voxels} voxels."]})
    before, after = crop[0] - unclipped[0], unclipped[1] - crop[1]
    return Padding(tuple(before.tolist()), tuple(after.tolist()))
