"""What the OpenAPI schema says about ``POST /seg``: its multipart parts, its answers and every error, with examples."""

from __future__ import annotations

from typing import Any

from imeasure_server.api.seg_response import ErrorBody, SegResponse
from imeasure_server.api.seg_schema import SegMetadata
from imeasure_server.errors import (
    ApiError,
    ClicksOutOfBounds,
    CropSizeTooSmall,
    EmptySegmentationOutput,
    ImageDataSizeMismatch,
    InternalError,
    MagicPenNotAxial,
    MaskShapeMismatch,
    MetadataMalformedJson,
    MissingImage,
    MissingMetadata,
    OutputShapeMismatch,
    PayloadTooLarge,
    RequestInvalid,
    ServerBusy,
    Unauthorized,
    UnsupportedMediaType,
)

_EXAMPLES: tuple[ApiError, ...] = (
    MissingMetadata(),
    MissingImage(),
    MetadataMalformedJson(),
    Unauthorized(),
    PayloadTooLarge(268_435_456),
    UnsupportedMediaType(),
    RequestInvalid(
        {
            "clicks": ["At least one click entry is required"],
            "world_spacing": ["Missing data for required field."],
        }
    ),
    ImageDataSizeMismatch(2_097_152, 1_048_576),
    MaskShapeMismatch(524_288, 262_144),
    ClicksOutOfBounds({"clicks": ["0.1: Not inside the crop."]}),
    CropSizeTooSmall({"crop_size": [48, 64, 16], "minimum_size": [64, 64, 16]}),
    MagicPenNotAxial({"magic_pen_points": ["0: The points differ by 5.00 mm in Z."]}),
    EmptySegmentationOutput(),
    InternalError(),
    OutputShapeMismatch((128, 128, 32), (128, 128, 31)),
    ServerBusy(),
)

_DESCRIPTIONS = {
    400: "A part is missing or is not JSON",
    401: "The server asks for an API key",
    413: "The body is larger than the server takes",
    415: "The body is not multipart/form-data",
    422: "The request cannot be answered",
    500: "The server failed",
    503: "Every place in the queue is taken; Retry-After says when to try again",
}

_METADATA_EXAMPLE: dict[str, Any] = {
    "id": "d286c20a-b2b1-40e4-ab46-0654b6fc3917",
    "clicks": [{"mode": "positive", "points": [[-51.16, -138.12, -403.90], [-61.26, -76.11, -403.90]]}],
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


def seg_responses() -> dict[int | str, dict[str, Any]]:
    """``responses`` of the route: the answer, and every error status with an example of each code."""
    responses: dict[int | str, dict[str, Any]] = {200: {"model": SegResponse, "description": "Mask and measurements"}}
    for error in _EXAMPLES:
        entry = responses.setdefault(
            error.status,
            {
                "model": ErrorBody,
                "description": _DESCRIPTIONS[error.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        entry["content"]["application/json"]["examples"][error.code] = {"value": error.body}
        for name in error.headers or {}:
            entry["headers"] = {name: {"description": "Seconds", "schema": {"type": "integer"}}}
    return responses


def seg_request_body() -> dict[str, Any]:
    """``openapi_extra`` of the route: the parts, which the route reads itself while they stream."""
    metadata = _without_references(SegMetadata.model_json_schema())
    metadata["example"] = _METADATA_EXAMPLE
    binary = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "required": ["metadata", "image"],
        "properties": {
            "metadata": metadata,
            "image": {**binary, "description": "int16, little-endian, X fastest; 2 bytes per voxel of shape"},
            "mask": {**binary, "description": "The mask to refine: one byte (0 or 1) per voxel of shape, X fastest"},
        },
    }
    encoding = {
        "metadata": {"contentType": "application/json"},
        "image": {"contentType": "application/octet-stream"},
        "mask": {"contentType": "application/octet-stream"},
    }
    content = {"multipart/form-data": {"schema": schema, "encoding": encoding}}
    return {"requestBody": {"required": True, "content": content}}


def _without_references(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions put where they are used: a part's schema has no place for definitions."""
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if reference is not None:
                return resolved(definitions[reference.rsplit("/", 1)[1]])
            return {name: resolved(value) for name, value in node.items()}
        return [resolved(value) for value in node] if isinstance(node, list) else node

    result: dict[str, Any] = resolved(schema)
    return result
