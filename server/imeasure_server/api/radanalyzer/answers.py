"""The contract's answers from what was measured. Pure functions: nothing is computed, read or charged here."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imeasure_server.store.history import PastMeasurement, dated_values
from imeasure_server.store.pop_sessions import FrameRecord, PopSession
from imeasure_server.vhs.batch import BatchSummary
from imeasure_server.vhs.capture import advice, why_more
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, FloatArray
from imeasure_server.vhs.models_present import VhsModels
from imeasure_server.vhs.results import ImageResult, ResultCode
from imeasure_server.vhs.version import MODEL_VERSION

Json = dict[str, Any]

CORNER_ORDER = "TL,TR,BR,BL"
REJECTION = "not_a_valid_radiograph"


@dataclass(frozen=True, eq=False)
class Photo:
    """What came of one image of a batch: a result, or why there is none, as a sentence."""

    result: ImageResult | None = None
    error: str | None = None


def single_answer(result: ImageResult, render: bool, past: Sequence[PastMeasurement] | None, billing: Json) -> Json:
    """The answer to one image.

    Args:
        result: of the image.
        render: whether an annotated picture was asked for.
        past: earlier measurements of the same patient; None when none was named.
        billing: the contract's billing object.
    """
    if result.code is ResultCode.REJECTED:
        return {
            **_rejection(result),
            "model_version": MODEL_VERSION,
            "result_code": int(result.code),
            "result_description": result.code.description,
            "vhs": None,
            "vlas": None,
            "billing": billing,
        }
    answer = {
        "vhs": rounded(result.vhs, 2),
        "vlas": rounded(result.vlas, 2),
        "prediction": landmarks(result.landmarks),
        "result_code": int(result.code),
        "result_description": result.code.description,
        "model_confidence": result.confidence,
        "spread": rounded(result.spread, 4),
        "pop_detected": result.pop_detected,
        "model_version": MODEL_VERSION,
    }
    if render:
        answer["rendered_image"] = in_base64(result.rendered)
    return {**answer, **_history(past), "billing": billing}


def batch_answer(
    photos: Sequence[Photo],
    summary: BatchSummary,
    render: bool,
    past: Sequence[PastMeasurement] | None,
    billing: Json,
) -> Json:
    """The answer to several images."""
    return {
        "vhs": rounded(summary.vhs, 2),
        "vlas": rounded(summary.vlas, 2),
        **summary_fields(summary),
        "processing_started": True,
        "per_photo": [photo_fields(photo, render, with_pop=True) for photo in photos],
        **_history(past),
        "model_version": MODEL_VERSION,
        "billing": billing,
    }


def summary_fields(summary: BatchSummary) -> Json:
    """What a batch and the end of a stream say of all images together."""
    return {
        "best_vhs": rounded(summary.vhs, 2),
        "best_vlas": rounded(summary.vlas, 2),
        "median_vhs": rounded(summary.median_vhs, 2),
        "median_vlas": rounded(summary.median_vlas, 2),
        "vhs_std": rounded(summary.vhs_std, 2),
        "vlas_std": rounded(summary.vlas_std, 2),
        "vhs_confidence": summary.vhs_confidence,
        "vlas_confidence": summary.vlas_confidence,
        "best_photo_index": summary.best_index,
        "n_photos_processed": summary.processed,
        "n_photos_with_landmarks": summary.with_landmarks,
    }


def photo_fields(photo: Photo, render: bool, with_pop: bool = False) -> Json:
    """What is said of one image among several.

    Args:
        photo: the image.
        render: whether annotated pictures were asked for.
        with_pop: whether ``pop_detected`` is told (a batch does, a stream does not).
    """
    result = photo.result if photo.result is not None else ImageResult(ResultCode.ABNORMAL)
    fields: Json = {
        "vhs": rounded(result.vhs, 2),
        "vlas": rounded(result.vlas, 2),
        "spread": rounded(result.spread, 4),
        "model_confidence": result.confidence,
        "landmarks_detected": result.landmarks_detected,
        "axes_perpendicular": result.axes_perpendicular,
    }
    if result.landmarks_detected and with_pop:
        fields["pop_detected"] = result.pop_detected
    if result.code is ResultCode.REJECTED:
        fields |= _rejection(result)
    if photo.error is not None:
        fields["error"] = photo.error
    if render and result.rendered is not None:
        fields["rendered_image"] = in_base64(result.rendered)
    return fields


def ready_answer(session: PopSession, ttl_seconds: int, models: VhsModels) -> Json:
    """A session that has begun."""
    return {
        "session_id": session.id,
        "session_status": session.state,
        "pop_pipeline_enabled": models.pop_pipeline,
        "models_loaded": models.prediction,
        "pop_models_loaded": models.pop,
        "model_version": MODEL_VERSION,
        "session_config": {
            "max_frames": session.max_frames,
            "max_consecutive_failures": session.max_consecutive_failures,
            "session_ttl_seconds": ttl_seconds,
        },
    }


def continue_answer(session: PopSession, result: ImageResult) -> Json:
    """A session that needs more frames; ``result`` is of the last. Nothing is said of billing."""
    return {
        "session_id": session.id,
        "session_status": "continue",
        "reason": why_more(session.good_frames),
        "feedback": advice(result),
        "frame_index": session.frames_processed - 1,
        "frames_processed": session.frames_processed,
        "good_frames": session.good_frames,
        "result_code": int(result.code),
        "result_description": result.code.description,
        "frame_result": {
            "vhs": rounded(result.vhs, 2),
            "vlas": rounded(result.vlas, 2),
            "spread": rounded(result.spread, 4),
            "model_confidence": result.confidence,
            "landmarks_detected": result.landmarks_detected,
            "pop_detected": result.pop_detected,
        },
        "model_version": MODEL_VERSION,
    }


def complete_answer(
    session: PopSession, best: FrameRecord, points: FloatArray, rectified: bytes, drawn: bytes, billing: Json
) -> Json:
    """A session that has a measurement.

    Args:
        session: after its last frame.
        best: the frame that is reported.
        points: its landmarks, normalised to ``rectified``.
        rectified: its flat picture.
        drawn: the same with landmarks and scores on it.
        billing: the contract's billing object.
    """
    code = ResultCode(best.result["code"])
    return {
        "session_id": session.id,
        "session_status": "complete",
        "frame_index": session.frames_processed - 1,
        "rectified_image": in_base64(rectified),
        "prediction": {
            "vhs": rounded(best.vhs, 2),
            "vlas": rounded(best.vlas, 2),
            "prediction": landmarks(points),
            "result_code": int(code),
            "result_description": code.description,
            "model_confidence": best.result["confidence"],
            "spread": rounded(best.spread, 4),
            "model_version": MODEL_VERSION,
            "rendered_image": in_base64(drawn),
        },
        "billing": billing,
    }


def failed_answer(session: PopSession, billing: Json) -> Json:
    """A session that has ended without a measurement; ``frame_index`` is the number of its frames, as in the contract's
    example.
    """
    return {
        "session_id": session.id,
        "session_status": "failed",
        "frame_index": session.frames_processed,
        "error": session.error,
        "billing": billing,
    }


def landmarks(points: FloatArray | None) -> list[Json]:
    """(7, 2) normalised coordinates as the contract writes them; empty when there are none."""
    if points is None:
        return []
    return [
        {"x": round(float(x), 6), "y": round(float(y), 6), "class": name}
        for (x, y), name in zip(points, LANDMARK_NAMES, strict=True)
    ]


def corner_pairs(corners: FloatArray) -> list[list[float]]:
    """(4, 2) in pixels, to a hundredth."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in corners]


def in_base64(content: bytes | None) -> str | None:
    """Bytes as they travel in JSON."""
    return None if content is None else base64.b64encode(content).decode("ascii")


def rounded(value: float | None, digits: int) -> float | None:
    """As many digits as mean anything."""
    return None if value is None else round(float(value), digits)


def _rejection(result: ImageResult) -> Json:
    """The classifier knows how sure it is of a radiograph; told is how sure it is of its rejection."""
    radiograph = result.classifier_confidence
    return {
        "classifier_confidence": None if radiograph is None else rounded(1 - radiograph, 4),
        "rejected": True,
        "rejection_reason": REJECTION,
    }


def _history(past: Sequence[PastMeasurement] | None) -> Json:
    if past is None:
        return {"historic_vhs": None, "historic_vlas": None}
    entries = list(past)
    return {
        "historic_vhs": [[date, rounded(float(value), 2)] for date, value in dated_values(entries, "vhs")],
        "historic_vlas": [[date, rounded(float(value), 2)] for date, value in dated_values(entries, "vlas")],
    }
