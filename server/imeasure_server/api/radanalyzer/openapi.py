"""What the OpenAPI schema says about ``/v3``: bodies, answers and every error, with the contract's examples."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Response

from imeasure_server.api.radanalyzer import schemas
from imeasure_server.api.radanalyzer.errors import (
    ImageTooLarge,
    InvalidApiKey,
    InvalidField,
    InvalidImage,
    MissingField,
    NoScreen,
    PredictionUnavailable,
    ScreensUnavailable,
    SessionEnded,
    TookTooLong,
    UnknownSession,
    error_body,
)
from imeasure_server.errors import ApiError, InternalError, ServerBusy
from imeasure_server.vhs.version import MODEL_VERSION

Docs = dict[str, Any]

_MEANINGS = {
    400: "A field is missing or wrong",
    403: "The key is missing or wrong",
    404: "There is no such session",
    409: "The session has ended",
    413: "An image is larger than 10 MB",
    422: "There is no screen in the photograph",
    500: "The server failed",
    503: "Models are missing, or every place in the queue is taken: then Retry-After says when to try again",
    504: "It took too long",
}

_IMAGE_ERRORS: tuple[ApiError, ...] = (
    MissingField("image"),
    InvalidImage("It is not base64: encode the bytes of a JPEG or PNG file."),
    InvalidApiKey(),
    ImageTooLarge(),
    InternalError(),
    ServerBusy(),
    TookTooLong(300),
)

_BILLED = {
    "billable": True,
    "reason": "valid_vhs",
    "call_type": "single",
    "monthly_usage": 47,
    "tier": "paygo",
    "rate": 3.0,
}
_FREE = {"billable": False, "reason": "no_valid_vhs", "monthly_usage": 47, "tier": "paygo"}
_LANDMARKS = [
    {"x": 0.42, "y": 0.15, "class": "heart_top"},
    {"x": 0.41, "y": 0.44, "class": "heart_bottom"},
    {"x": 0.25, "y": 0.30, "class": "heart_right"},
    {"x": 0.57, "y": 0.29, "class": "heart_left"},
    {"x": 0.49, "y": 0.40, "class": "VLAS"},
    {"x": 0.36, "y": 0.12, "class": "Vertebra A"},
    {"x": 0.55, "y": 0.12, "class": "Vertebra B"},
]
_CORNERS = [[137.48, 100.30], [490.50, 81.32], [495.35, 421.38], [154.89, 421.57]]
_MEASURED = {
    "vhs": 10.4,
    "vlas": 2.8,
    "prediction": _LANDMARKS,
    "result_code": 1,
    "result_description": "VHS and VLAS predicted successfully with high confidence",
    "model_confidence": "optimal",
    "spread": 0.0032,
}
_SINGLE = {
    **_MEASURED,
    "pop_detected": False,
    "model_version": MODEL_VERSION,
    "rendered_image": "<base64>",
    "historic_vhs": [["2026-03-27", 11.38]],
    "historic_vlas": [["2026-03-27", 1.88]],
    "billing": _BILLED,
}
_REJECTION = {
    "classifier_confidence": 0.7937,
    "model_version": MODEL_VERSION,
    "rejected": True,
    "rejection_reason": "not_a_valid_radiograph",
    "result_code": 6,
    "result_description": "Image rejected — not a valid radiograph.",
    "vhs": None,
    "vlas": None,
    "billing": _FREE,
}
_SUMMARY = {
    "best_vhs": 11.32,
    "best_vlas": 1.87,
    "median_vhs": 11.32,
    "median_vlas": 1.87,
    "vhs_std": None,
    "vlas_std": None,
    "vhs_confidence": "optimal",
    "vlas_confidence": "optimal",
    "best_photo_index": 0,
    "n_photos_processed": 2,
    "n_photos_with_landmarks": 1,
}
_PHOTO = {
    "vhs": 11.32,
    "vlas": 1.87,
    "spread": 0.0023,
    "model_confidence": "optimal",
    "landmarks_detected": True,
    "axes_perpendicular": True,
}
_NO_PHOTO = {
    "vhs": None,
    "vlas": None,
    "spread": None,
    "model_confidence": "review",
    "landmarks_detected": False,
    "axes_perpendicular": False,
    "rejected": True,
    "rejection_reason": "not_a_valid_radiograph",
    "classifier_confidence": 0.7937,
}
_SESSION_BILLED = {**_BILLED, "call_type": "session", "monthly_usage": 48, "rate": 4.0}
_BATCH = {
    "vhs": 11.32,
    "vlas": 1.87,
    **_SUMMARY,
    "processing_started": True,
    "per_photo": [{**_PHOTO, "pop_detected": False}, _NO_PHOTO],
    "historic_vhs": [["2024-01-26", 9.23]],
    "historic_vlas": [["2024-01-26", 2.12]],
    "model_version": MODEL_VERSION,
    "billing": _SESSION_BILLED,
}
_HEALTH = {
    "status": "healthy",
    "models_loaded": 5,
    "pop_models_loaded": 5,
    "pop_pipeline_enabled": True,
    "model_version": MODEL_VERSION,
}
_STARTED = {
    "session_id": "0960abaa8179476d",
    "session_status": "ready",
    "pop_pipeline_enabled": True,
    "models_loaded": 5,
    "pop_models_loaded": 5,
    "model_version": MODEL_VERSION,
    "session_config": {"max_frames": 20, "max_consecutive_failures": 5, "session_ttl_seconds": 300},
}
_CONTINUE = {
    "session_id": "0960abaa8179476d",
    "session_status": "continue",
    "reason": "0/3 good frames so far, need more",
    "feedback": "Heart and spine were not recognised: avoid reflections and blur, and come closer.",
    "frame_index": 0,
    "frames_processed": 1,
    "good_frames": 0,
    "result_code": 5,
    "result_description": "Neither VHS nor VLAS could be calculated — check image quality.",
    "frame_result": {
        "vhs": None,
        "vlas": None,
        "spread": None,
        "model_confidence": "review",
        "landmarks_detected": False,
        "pop_detected": True,
    },
    "model_version": MODEL_VERSION,
}
_COMPLETE = {
    "session_id": "0960abaa8179476d",
    "session_status": "complete",
    "frame_index": 3,
    "rectified_image": "<base64>",
    "prediction": {**_MEASURED, "model_version": MODEL_VERSION, "rendered_image": "<base64>"},
    "billing": {**_SESSION_BILLED, "monthly_usage": 49},
}
_FAILED = {
    "session_id": "0960abaa8179476d",
    "session_status": "failed",
    "frame_index": 20,
    "error": "max_frames_exceeded",
    "billing": {**_FREE, "monthly_usage": 49},
}
_RECTIFIED = {"rectified_image": "<base64>", "width": 346, "height": 330, "model_version": MODEL_VERSION}
_IN_PICTURE = {"corners": _CORNERS, "order": "TL,TR,BR,BL"}
_FOUND = {**_IN_PICTURE, "image_width": 640, "image_height": 482, "model_version": MODEL_VERSION}
_SINGLE_REQUEST = {"image": "<base64>", "uuid": "patient-123", "render": True}
_BATCH_REQUEST = {"images": ["<base64>", "<base64>"], "uuid": "patient-123", "render": True}
_FRAME_REQUEST = {"image": "<base64>", "session_id": "0960abaa8179476d", "uuid": "patient-123"}


def health_docs() -> Docs:
    """Of ``GET /v3/health``."""
    return _docs(None, {}, {"healthy": _HEALTH}, [schemas.HEALTH], (InvalidApiKey(),))


def predict_docs() -> Docs:
    """Of ``POST /v3/predict``."""
    answers = {"single": _SINGLE, "rejection": _REJECTION, "batch": _BATCH}
    kinds = [schemas.SINGLE, schemas.REJECTION_ANSWER, schemas.BATCH]
    body = {"anyOf": [schemas.SINGLE_REQUEST, schemas.BATCH_REQUEST]}
    requests = {"single": _SINGLE_REQUEST, "batch": _BATCH_REQUEST}
    return _docs(body, requests, answers, kinds, (*_IMAGE_ERRORS, PredictionUnavailable()))


def stream_docs() -> Docs:
    """Of ``POST /v3/predict/stream``."""
    docs = _docs(schemas.BATCH_REQUEST, {"batch": _BATCH_REQUEST}, {}, [], (*_IMAGE_ERRORS, PredictionUnavailable()))
    told = {
        "processing_started": {"n_images": 2, "model_version": MODEL_VERSION},
        "photo": {"index": 0, **_PHOTO, "n_total": 2, "model_version": MODEL_VERSION},
        "error": {"index": 1, "uuid": "patient-456", "error": "Invalid image data. It is empty."},
        "summary": {**_SUMMARY, "billing": _SESSION_BILLED},
    }
    content = {
        "schema": schemas.EVENT,
        "examples": {name: {"value": {"event": name, "data": json.dumps(data)}} for name, data in told.items()},
    }
    docs["responses"][200] = {"description": "Events", "content": {"text/event-stream": content}}
    return docs


def start_docs() -> Docs:
    """Of ``POST /v3/pop-session/start``."""
    errors = (InvalidField("body", "must be an object"), InvalidApiKey(), InternalError(), ScreensUnavailable())
    return _docs(schemas.EMPTY_REQUEST, {"empty": {}}, {"ready": _STARTED}, [schemas.STARTED], errors, needed=False)


def frame_docs() -> Docs:
    """Of ``POST /v3/pop-session``."""
    answers = {"continue": _CONTINUE, "complete": _COMPLETE, "failed": _FAILED}
    kinds = [schemas.CONTINUE, schemas.COMPLETE, schemas.FAILED]
    errors = (*_IMAGE_ERRORS, UnknownSession(), SessionEnded("complete"), ScreensUnavailable())
    return _docs(schemas.FRAME_REQUEST, {"frame": _FRAME_REQUEST}, answers, kinds, errors)


def corners_docs() -> Docs:
    """Of ``POST /v3/corners``."""
    errors = (*_IMAGE_ERRORS, NoScreen(), ScreensUnavailable())
    example = {"image": {"image": "<base64>"}}
    return _docs(schemas.IMAGE_REQUEST, example, {"found": _FOUND}, [schemas.FOUND], errors)


def rectify_docs() -> Docs:
    """Of ``POST /v3/rectify``."""
    errors = (*_IMAGE_ERRORS, ScreensUnavailable())
    example = {"image": {"image": "<base64>", "corners": _CORNERS}}
    return _docs(schemas.RECTIFY_REQUEST, example, {"flat": _RECTIFIED}, [schemas.RECTIFIED], errors)


def preprocess_docs() -> Docs:
    """Of ``POST /v3/preprocess``."""
    errors = (*_IMAGE_ERRORS, NoScreen(), ScreensUnavailable())
    answers = {"flat": {**_RECTIFIED, **_IN_PICTURE}}
    return _docs(schemas.IMAGE_REQUEST, {"image": {"image": "<base64>"}}, answers, [schemas.PREPROCESSED], errors)


def _docs(
    body: Docs | None,
    requests: Docs,
    answers: Docs,
    kinds: list[Docs],
    errors: tuple[ApiError, ...],
    needed: bool = True,
) -> Docs:
    """Arguments of a route's decorator.

    Args:
        body: schema of the request, None when it has no body.
        requests, answers: examples by name.
        kinds: schemas of what the answer can be.
        errors: that the route can give.
        needed: whether there must be a body.
    """
    responses: dict[int, Docs] = {}
    if kinds:
        schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        responses[200] = {"description": "The answer", "content": _content(schema, answers)}
    for error in errors:
        entry = responses.setdefault(
            error.status, {"description": _MEANINGS[error.status], "content": _content(schemas.ERROR, {})}
        )
        entry["content"]["application/json"]["examples"][error.code] = {"value": error_body(error)}
        for name in error.headers or {}:
            entry["headers"] = {name: {"description": "Seconds", "schema": {"type": "integer"}}}
    docs: Docs = {"responses": responses, "response_class": Response}
    if body is not None:
        docs["openapi_extra"] = {"requestBody": {"required": needed, "content": _content(body, requests)}}
    return docs


def _content(schema: Docs, examples: Docs) -> Docs:
    return {"application/json": {"schema": schema, "examples": {name: {"value": at} for name, at in examples.items()}}}
