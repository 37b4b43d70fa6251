"""Requests and answers of ``/v3`` as JSON schemas. Answers are not made from them: tests hold them together."""

from __future__ import annotations

from typing import Any

from imeasure_server.api.radanalyzer.answers import CORNER_ORDER, REJECTION
from imeasure_server.api.radanalyzer.errors import MAX_IMAGES
from imeasure_server.api.radanalyzer.fields import MAX_UUID
from imeasure_server.vhs.landmarks import LANDMARK_NAMES
from imeasure_server.vhs.results import ResultCode

Schema = dict[str, Any]


def exactly(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these fields and no other ones."""
    optional = optional or {}
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: Schema, shortest: int | None = None, longest: int | None = None) -> Schema:
    """An array of these."""
    limits = {"minItems": shortest, "maxItems": longest}
    return {"type": "array", "items": items, **{name: count for name, count in limits.items() if count is not None}}


def or_null(schema: Schema) -> Schema:
    """This, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
CONFIDENCE: Schema = {"enum": ["optimal", "good", "review"]}
VERTEBRAE: Schema = {**or_null(NUMBER), "description": "Vertebrae, to a hundredth; null when not measured"}
SPREAD: Schema = {**or_null(NUMBER), "description": "How far the models disagree, in normalised coordinates"}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
IMAGE: Schema = {**STRING, "description": "Base64 of a JPEG or PNG file of at most 10 MB, or a data: URL with it"}
UUID: Schema = {
    "type": ["string", "null"],
    "maxLength": MAX_UUID,
    "description": "Patient: for earlier measurements, and for free rechecks within 24 hours",
}
RENDER: Schema = {"type": ["boolean", "null"], "default": False, "description": "Whether to send an annotated picture"}
CORNERS: Schema = {
    **array(array(NUMBER, 2, 2), 4, 4),
    "description": "[x, y] in pixels, in the order TL, TR, BR, BL",
}
HISTORY: Schema = {
    **or_null(array(array({"type": ["string", "number"]}, 2, 2))),
    "description": "Earlier measurements of this uuid as [date, value], oldest first; null without a uuid",
}
LANDMARKS: Schema = {
    **array(exactly({"x": NUMBER, "y": NUMBER, "class": {"enum": list(LANDMARK_NAMES)}}), 0, len(LANDMARK_NAMES)),
    "description": "Seven, from 0 to 1 of the image's width and height; none when none were found",
}
RESULT: Schema = {"result_code": {"enum": [int(code) for code in ResultCode]}, "result_description": STRING}
REJECTED: Schema = {
    "classifier_confidence": {**or_null(NUMBER), "description": "How sure the rejection is, 0 to 1"},
    "rejected": {"const": True},
    "rejection_reason": {"const": REJECTION},
}
VERSION: Schema = {"model_version": STRING}

BILLING = {
    **exactly(
        {
            "billable": YES_OR_NO,
            "reason": {"enum": ["valid_vhs", "no_valid_vhs", "recheck_24h", "billing_error"]},
            "monthly_usage": COUNT,
            "tier": {"enum": ["paygo", "starter", "professional", "enterprise"]},
        },
        {"call_type": {"enum": ["single", "session"]}, "rate": {**NUMBER, "description": "Dollars"}},
    ),
    "description": "call_type and rate only when the call is charged",
}

ERROR = exactly({"error": STRING})

HEALTH = exactly(
    {
        "status": {"enum": ["healthy", "degraded"]},
        "models_loaded": COUNT,
        "pop_models_loaded": COUNT,
        "pop_pipeline_enabled": YES_OR_NO,
        **VERSION,
    }
)

SINGLE = exactly(
    {
        "vhs": VERTEBRAE,
        "vlas": VERTEBRAE,
        "prediction": LANDMARKS,
        **RESULT,
        "model_confidence": CONFIDENCE,
        "spread": SPREAD,
        "pop_detected": YES_OR_NO,
        **VERSION,
        "historic_vhs": HISTORY,
        "historic_vlas": HISTORY,
        "billing": BILLING,
    },
    {"rendered_image": or_null(BASE64)},
)

REJECTION_ANSWER = exactly(
    {**REJECTED, **RESULT, **VERSION, "vhs": {"type": "null"}, "vlas": {"type": "null"}, "billing": BILLING}
)

PHOTO: Schema = {
    "vhs": VERTEBRAE,
    "vlas": VERTEBRAE,
    "spread": SPREAD,
    "model_confidence": CONFIDENCE,
    "landmarks_detected": YES_OR_NO,
    "axes_perpendicular": YES_OR_NO,
}

SUMMARY: Schema = {
    "best_vhs": VERTEBRAE,
    "best_vlas": VERTEBRAE,
    "median_vhs": VERTEBRAE,
    "median_vlas": VERTEBRAE,
    "vhs_std": VERTEBRAE,
    "vlas_std": VERTEBRAE,
    "vhs_confidence": CONFIDENCE,
    "vlas_confidence": CONFIDENCE,
    "best_photo_index": or_null(COUNT),
    "n_photos_processed": COUNT,
    "n_photos_with_landmarks": COUNT,
}

BATCH = exactly(
    {
        "vhs": VERTEBRAE,
        "vlas": VERTEBRAE,
        **SUMMARY,
        "processing_started": {"const": True},
        "per_photo": array(
            exactly(PHOTO, {"pop_detected": YES_OR_NO, **REJECTED, "error": STRING, "rendered_image": BASE64})
        ),
        "historic_vhs": HISTORY,
        "historic_vlas": HISTORY,
        **VERSION,
        "billing": BILLING,
    }
)

EVENTS: dict[str, Schema] = {
    "processing_started": exactly({"n_images": COUNT, **VERSION}),
    "photo": exactly({"index": COUNT, **PHOTO, "n_total": COUNT, **VERSION}, {**REJECTED, "rendered_image": BASE64}),
    "error": exactly({"index": COUNT, "uuid": or_null(STRING), "error": STRING}),
    "summary": exactly({**SUMMARY, "billing": BILLING}),
}

EVENT = exactly(
    {
        "event": {"enum": list(EVENTS)},
        "data": {**STRING, "contentMediaType": "application/json", "description": "One line; see the examples"},
    }
)

STARTED = exactly(
    {
        "session_id": STRING,
        "session_status": {"const": "ready"},
        "pop_pipeline_enabled": YES_OR_NO,
        "models_loaded": COUNT,
        "pop_models_loaded": COUNT,
        **VERSION,
        "session_config": exactly(
            {"max_frames": COUNT, "max_consecutive_failures": COUNT, "session_ttl_seconds": COUNT}
        ),
    }
)

CONTINUE = exactly(
    {
        "session_id": STRING,
        "session_status": {"const": "continue"},
        "reason": STRING,
        "feedback": {**STRING, "description": "What to do for a better frame"},
        "frame_index": COUNT,
        "frames_processed": COUNT,
        "good_frames": COUNT,
        **RESULT,
        "frame_result": exactly(
            {
                "vhs": VERTEBRAE,
                "vlas": VERTEBRAE,
                "spread": SPREAD,
                "model_confidence": CONFIDENCE,
                "landmarks_detected": YES_OR_NO,
                "pop_detected": YES_OR_NO,
            }
        ),
        **VERSION,
    }
)

COMPLETE = exactly(
    {
        "session_id": STRING,
        "session_status": {"const": "complete"},
        "frame_index": COUNT,
        "rectified_image": BASE64,
        "prediction": exactly(
            {
                "vhs": NUMBER,
                "vlas": VERTEBRAE,
                "prediction": {**LANDMARKS, "description": "Seven, normalised to rectified_image"},
                **RESULT,
                "model_confidence": CONFIDENCE,
                "spread": SPREAD,
                **VERSION,
                "rendered_image": BASE64,
            }
        ),
        "billing": BILLING,
    }
)

FAILED = exactly(
    {
        "session_id": STRING,
        "session_status": {"const": "failed"},
        "frame_index": COUNT,
        "error": {"enum": ["max_frames_exceeded", "max_consecutive_failures_exceeded", "session_timeout"]},
        "billing": BILLING,
    }
)

FOUND = exactly(
    {"corners": CORNERS, "order": {"const": CORNER_ORDER}, "image_width": COUNT, "image_height": COUNT, **VERSION}
)
RECTIFIED = exactly({"rectified_image": BASE64, "width": COUNT, "height": COUNT, **VERSION})
PREPROCESSED = exactly(
    {
        "rectified_image": BASE64,
        "corners": CORNERS,
        "order": {"const": CORNER_ORDER},
        "width": COUNT,
        "height": COUNT,
        **VERSION,
    }
)


def _request(required: Schema, optional: Schema | None = None) -> Schema:
    """A body; fields that are not named are ignored."""
    return {**exactly(required, optional), "additionalProperties": True}


SINGLE_REQUEST = _request({"image": IMAGE}, {"uuid": UUID, "render": RENDER})
BATCH_REQUEST = _request({"images": array(IMAGE, 1, MAX_IMAGES)}, {"uuid": UUID, "render": RENDER})
FRAME_REQUEST = _request({"image": IMAGE, "session_id": STRING}, {"uuid": UUID})
IMAGE_REQUEST = _request({"image": IMAGE})
RECTIFY_REQUEST = _request({"image": IMAGE, "corners": CORNERS})
EMPTY_REQUEST = _request({})
