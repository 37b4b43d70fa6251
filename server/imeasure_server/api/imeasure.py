"""``POST /seg`` of the iMeasure 3D API: HTTP in, HTTP out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from imeasure_server.api.disconnect import ClientDisconnected, run_until_disconnect
from imeasure_server.api.multipart import DuplicatePart, MalformedForm, Part, boundary_of, read_form
from imeasure_server.api.openapi import seg_request_body, seg_responses
from imeasure_server.api.resources import settings_of
from imeasure_server.api.seg_job import CropJob, OutputShapeError
from imeasure_server.api.seg_request import SegRequest, parse_request, part_limits
from imeasure_server.api.seg_response import encode_response
from imeasure_server.errors import (
    ApiError,
    ClicksOutOfBounds,
    EmptySegmentationOutput,
    InternalError,
    MissingImage,
    MissingMetadata,
    OutputShapeMismatch,
    PayloadTooLarge,
    RequestInvalid,
    UnsupportedMediaType,
)
from imeasure_server.models.pool import InferencePool, SegmentationOutcome
from imeasure_server.segmentation.engine import (
    ConflictingPromptsError,
    EmptySegmentationError,
    OutsideVolumeError,
    SegmentationError,
)

logger = logging.getLogger(__name__)
router = APIRouter(tags=["iMeasure"])


@router.post(
    "/seg",
    summary="Segment and measure one object in a CT crop",
    response_class=Response,
    responses=seg_responses(),
    openapi_extra=seg_request_body(),
)
async def segment(request: Request) -> Response:
    """Interactive form (groups of positive and negative clicks, pen strokes, previous mask) and static form
    (two extreme points) of the iMeasure 3D API. Nothing is remembered between requests.
    """
    settings = settings_of(request)
    timings: dict[str, float] = request.state.timings
    started = time.perf_counter()
    parts = await _read_parts(request, settings.max_body_bytes)
    timings["receive"] = time.perf_counter() - started
    started = time.perf_counter()
    seg_request = await run_in_threadpool(parse_request, parts, settings.max_voxels)
    del parts
    timings["parse"] = time.perf_counter() - started
    outcome = await run_until_disconnect(request, _segment(request.app.state.pool, seg_request))
    timings.update(outcome.timings)
    started = time.perf_counter()
    body = await run_in_threadpool(encode_response, seg_request, outcome.mask, outcome.measurements)
    timings["encode"] = time.perf_counter() - started
    return Response(body, media_type="application/json")


async def _segment(pool: InferencePool, request: SegRequest) -> SegmentationOutcome:
    """Ask a worker.

    Raises:
        ApiError: there is no mask.
        PoolError: the worker or its queue failed.
    """
    try:
        return await pool.submit(CropJob(request.volume, request.prompts, request.padding))
    except EmptySegmentationError as error:
        raise EmptySegmentationOutput from error
    except ConflictingPromptsError as error:
        raise RequestInvalid({"clicks": [str(error)]}) from error
    except OutsideVolumeError as error:
        raise ClicksOutOfBounds from error
    except OutputShapeError as error:
        raise OutputShapeMismatch(request.volume.geometry.shape, error.args[0]) from error
    except SegmentationError as error:
        logger.error("Segmentation failed: %s", type(error).__name__)
        raise InternalError from error


async def _read_parts(request: Request, max_body_bytes: int) -> Mapping[str, Part]:
    """The parts of the body.

    Raises:
        ApiError: the body is too large, of another type or not well-formed.
        ClientDisconnected: it never came whole.
    """
    boundary = boundary_of(request.headers.get("content-type"))
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType({"content_encoding": ["Compressed bodies are not supported."]})
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_body_bytes:
        raise PayloadTooLarge(max_body_bytes)
    try:
        return await read_form(request.stream(), boundary, part_limits(max_body_bytes), max_body_bytes)
    except MalformedForm as error:
        raise _answer_to(error) from error
    except ClientDisconnect as error:
        raise ClientDisconnected from error


def _answer_to(error: MalformedForm) -> ApiError:
    """A broken form is answered as the first part that is missing because of it."""
    details: dict[str, Any] = {error.field: [str(error)]}
    if isinstance(error, DuplicatePart):
        return RequestInvalid(details)
    if "metadata" not in error.parts:
        return MissingMetadata(details)
    if "image" not in error.parts:
        return MissingImage(details)
    return RequestInvalid(details)
