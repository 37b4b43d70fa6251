"""What the OpenAPI schema says about the addresses of AIAA."""

from __future__ import annotations

from typing import Any

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_TEXT: dict[str, Any] = {"type": "string"}
_DETAIL = {"application/json": {"schema": {"type": "object", "required": ["detail"], "properties": {"detail": _TEXT}}}}
_POLYGONS = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
}


def _query(*names: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": _TEXT, "description": description}
        for name, description in names
    ]


def _form(params: str, example: str) -> dict[str, Any]:
    properties = {
        "params": {**_TEXT, "description": params, "example": example},
        "image": {**_FILE, "description": "NIfTI, NRRD, DICOM, a zip of DICOM files, PNG or JPEG; or datapoint"},
    }
    schema = {"type": "object", "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


_SESSION = ("session_id", "of PUT /session/: instead of an image in the form")
_OUTPUT = ("output", "image: the mask's file; json or result: JSON; both (or nothing): both, as multipart")

_MASK_CONTENT = {
    "multipart/form-data": {"schema": {"type": "object", "properties": {"params": {"type": "object"}, "image": _FILE}}},
    "application/x-gzip": {"schema": _FILE},
    "application/json": {"schema": {"type": "object"}},
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "What was sent cannot be answered; detail says what to send", "content": _DETAIL},
    440: {"description": "There is no such session, or no more: send the image again", "content": _DETAIL},
}

INFERENCE_BODY: dict[str, Any] = {
    "parameters": _query(("model", "which one; see /v1/models"), _OUTPUT, _SESSION),
    "requestBody": _form(
        "JSON object: foreground, background, points, crop, label, result_extension, or what the model takes",
        '{"foreground": [[155, 189, 78]], "background": []}',
    ),
}
INFERENCE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The mask, on the image's own voxels, and what is said of it", "content": _MASK_CONTENT},
    **_ERRORS,
    404: {"description": "There is no such model", "content": _DETAIL},
    500: {"description": "The model failed", "content": _DETAIL},
}

POLYGONS_BODY: dict[str, Any] = {
    "parameters": _query(_SESSION),
    "requestBody": _form("JSON object: more_points", '{"more_points": 10}'),
}
POLYGONS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "For every slice a list of polygons",
        "content": {"application/json": {"schema": {"type": "array", "items": _POLYGONS}}},
    },
    **_ERRORS,
}

FIX_BODY: dict[str, Any] = {
    "parameters": _query(_OUTPUT, _SESSION),
    "requestBody": _form(
        "JSON object: dimension, poly, prev_poly, slice_index, polygon_index, vertex_index, vertex_offset, "
        "propagate_neighbor, propagate_neighbor_3d",
        '{"dimension": 2, "poly": [[[5, 5], [5, 9], [9, 9]]], "polygon_index": 0, "vertex_index": 1, '
        '"vertex_offset": [1, 2], "propagate_neighbor": 1}',
    ),
}
FIX_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The polygons, and the mask that they make", "content": _MASK_CONTENT},
    **_ERRORS,
}

_MODEL = {
    "type": "object",
    "required": ["name", "type", "description", "labels", "version"],
    "properties": {
        "name": _TEXT,
        "type": _TEXT,
        "description": _TEXT,
        "labels": {"type": "array", "items": _TEXT},
        "version": _TEXT,
        "internal name": _TEXT,
        "padding": {"type": "number"},
        "roi": {"type": "array", "items": {"type": "integer"}},
        "deepgrow": {"enum": ["2d", "3d"]},
    },
}
MODELS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A list, or with ?model= one",
        "content": {"application/json": {"schema": {"anyOf": [{"type": "array", "items": _MODEL}, _MODEL]}}},
    },
    404: {"description": "There is no such model", "content": _DETAIL},
}
