"""``GET /v3/health``, ``POST /v3/predict`` and ``POST /v3/predict/stream``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from imeasure_server.api.access import require_customer
from imeasure_server.api.disconnect import run_until_disconnect
from imeasure_server.api.radanalyzer.accounts import charge, past_measurements
from imeasure_server.api.radanalyzer.answers import Photo, batch_answer, single_answer
from imeasure_server.api.radanalyzer.errors import MAX_IMAGES
from imeasure_server.api.radanalyzer.fields import PredictFields, predict_fields, read_body
from imeasure_server.api.radanalyzer.images import checked_image, image_bytes
from imeasure_server.api.radanalyzer.measuring import (
    Deadline,
    ask_for_prediction,
    ask_for_room,
    deadline_of,
    decode_uploads,
    measured_photos,
    models_of,
    run_job,
)
from imeasure_server.api.radanalyzer.openapi import health_docs, predict_docs, stream_docs
from imeasure_server.api.radanalyzer.replies import json_answer
from imeasure_server.api.radanalyzer.stream import EventStream, stream_events
from imeasure_server.store.keys import KeyInfo
from imeasure_server.store.usage import Measurement
from imeasure_server.vhs.batch import summarise
from imeasure_server.vhs.jobs import AnalyseImage
from imeasure_server.vhs.results import ImageResult
from imeasure_server.vhs.version import MODEL_VERSION

router = APIRouter()
Customer = Annotated[KeyInfo, Depends(require_customer)]


@router.get("/health", summary="Is the service well, and which models has it", **health_docs())
async def health(request: Request) -> Response:
    """``degraded`` when a model file is missing; without the models for photographs of screens the other end points
    go on.
    """
    models = await models_of(request)
    return JSONResponse(
        {
            "status": "healthy" if models.is_complete else "degraded",
            "models_loaded": models.prediction,
            "pop_models_loaded": models.pop,
            "pop_pipeline_enabled": models.pop_pipeline,
            "model_version": MODEL_VERSION,
        }
    )


@router.post("/predict", summary="Measure the heart in one radiograph, or in up to ten", **predict_docs())
async def predict(request: Request, customer: Customer) -> Response:
    """VHS, VLAS, landmarks and how sure the models are. One image is charged at the single rate, several at the
    session rate, and only a valid VHS is charged.
    """
    await ask_for_prediction(request)
    deadline = deadline_of(request)
    fields = predict_fields(await deadline.within(read_body(request, MAX_IMAGES)))
    if fields.is_batch:
        return await _predict_batch(request, customer, fields, deadline)
    text = fields.images.pop()
    content = await run_in_threadpool(lambda: checked_image(image_bytes(text)))
    job = AnalyseImage(content, fields.render)
    outcome = await deadline.within(run_until_disconnect(request, run_job(request, job)))
    result = outcome.result
    past = await past_measurements(request, customer.id, fields.uuid)
    billing = await charge(request, customer.id, "single", fields.uuid, measurement_of(result))
    return await json_answer(lambda: single_answer(result, fields.render, past, billing))


@router.post("/predict/stream", summary="Measure up to ten radiographs, each told as it is done", **stream_docs())
async def predict_stream(request: Request, customer: Customer) -> Response:
    """Server-sent events: ``processing_started``, ``photo`` or ``error`` for each image, ``summary``."""
    await ask_for_prediction(request)
    deadline = deadline_of(request)
    fields = predict_fields(await deadline.within(read_body(request, MAX_IMAGES)), batch_only=True)
    uploads = await run_in_threadpool(decode_uploads, fields.images)
    ask_for_room(request)
    return EventStream(request, stream_events(request, customer.id, fields, uploads, deadline))


async def _predict_batch(request: Request, customer: KeyInfo, fields: PredictFields, deadline: Deadline) -> Response:
    uploads = await run_in_threadpool(decode_uploads, fields.images)
    ask_for_room(request)

    async def measure() -> list[Photo]:
        return [photo async for photo in measured_photos(request, uploads, fields.render, deadline)]

    photos = await run_until_disconnect(request, measure())
    summary = summarise(results_of(photos))
    past = await past_measurements(request, customer.id, fields.uuid)
    measurement = Measurement(summary.vhs, summary.vlas) if summary.is_billable else None
    billing = await charge(request, customer.id, "session", fields.uuid, measurement)
    return await json_answer(lambda: batch_answer(photos, summary, fields.render, past, billing))


def results_of(photos: Sequence[Photo]) -> list[ImageResult | None]:
    """What was measured, image by image."""
    return [photo.result for photo in photos]


def measurement_of(result: ImageResult) -> Measurement | None:
    """What of a result is charged and remembered; None of one without a valid VHS."""
    return Measurement(result.vhs, result.vlas) if result.code.is_billable else None
