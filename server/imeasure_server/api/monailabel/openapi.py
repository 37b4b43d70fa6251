"""What the OpenAPI schema says about ``POST /infer/{model}``."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}

INFER_BODY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
        for name, schema, description in (
            ("image", _TEXT, "Id of an image in the studies folder"),
            ("session_id", _TEXT, "Id of a session that the image was uploaded to"),
            ("output", {"type": "string", "enum": ["all", "image", "json", "dicom_seg"]}, "What to answer"),
        )
    ],
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "params": {
                            **_TEXT,
                            "description": "JSON object: nninter and prompts, or what the model takes",
                            "example": '{"nninter": "sam3", "pos_points": [[256, 256, 40]]}',
                        },
                        "file": {**_FILE, "description": "Zip of a DICOM series, one DICOM file, NIfTI or NRRD"},
                        "label": {**_FILE, "description": "A mask to refine, or scribbles"},
                        "image": _TEXT,
                        "session_id": _TEXT,
                        "output": _TEXT,
                    },
                }
            }
        }
    },
}

INFER_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The mask; {} for init and reset",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"params": {"type": "object"}, "image": _FILE}}
            },
            "application/json": {"schema": {"type": "object"}},
            "application/gzip": {"schema": _FILE},
            "application/dicom": {"schema": _FILE},
        },
    },
    400: {"description": "The request cannot be answered; detail says why"},
    404: {"description": "There is no such model, image or session"},
    422: {"description": "output is none of the four"},
    500: {"description": "The model failed, or CUDA out of memory"},
}
