"""``/v1/segmentation``, ``/v1/dextr3d``, ``/v1/deepgrow`` and ``/v1/inference``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from imeasure_server.api.aiaa.image_source import image_of, label_of
from imeasure_server.api.aiaa.openapi import INFERENCE_BODY, INFERENCE_RESPONSES
from imeasure_server.api.aiaa.replies import Output, reply
from imeasure_server.api.aiaa.request_params import model_inputs, read_params, text_option
from imeasure_server.api.model_answers import ask_model
from imeasure_server.api.monailabel.values import Roi
from imeasure_server.api.resources import models_of
from imeasure_server.api.upload_form import receive_form
from imeasure_server.errors import BadRequest
from imeasure_server.models.description import ModelDescription, ModelType
from imeasure_server.models.inference import LabelArray
from imeasure_server.models.model_jobs import ModelOutcome
from imeasure_server.models.reference import ModelReference

router = APIRouter(tags=["AIAA"])

TYPES = {
    "segmentation": {ModelType.SEGMENTATION, ModelType.OTHERS, ModelType.PIPELINE},
    "dextr3d": {ModelType.ANNOTATION, ModelType.PIPELINE},
    "deepgrow": {ModelType.DEEPGROW, ModelType.PIPELINE},
    "inference": set(ModelType),
}
"""What is run at each address; NVIDIA's Slicer plugin sends segmentation and deepgrow to the last one."""
_ADDRESSES = {ModelType.ANNOTATION: "/v1/dextr3d", ModelType.DEEPGROW: "/v1/deepgrow"}

_OPTIONS: dict[str, Any] = {
    "responses": INFERENCE_RESPONSES,
    "openapi_extra": INFERENCE_BODY,
    "response_class": Response,
}


@router.post("/v1/segmentation", summary="Segment an image", **_OPTIONS)
async def segmentation(request: Request) -> Response:
    """An automatic model: all it needs is the image."""
    return await _run(request, "segmentation")


@router.post("/v1/dextr3d", summary="Segment an object by its extreme points", **_OPTIONS)
async def dextr3d(request: Request) -> Response:
    """``params`` has ``points``: six or more on the boundary of the object, voxel indices of the image."""
    return await _run(request, "dextr3d")


@router.post("/v1/deepgrow", summary="Segment an object by clicks", **_OPTIONS)
async def deepgrow(request: Request) -> Response:
    """``params`` has ``foreground`` and ``background``: voxel indices of the image."""
    return await _run(request, "deepgrow")


@router.post("/v1/inference", summary="Run a model of any type", **_OPTIONS)
async def inference(request: Request) -> Response:
    """``params`` has whatever the model takes."""
    return await _run(request, "inference")


async def _run(request: Request, address: str) -> Response:
    timings: dict[str, float] = request.state.timings
    started = time.perf_counter()
    async with receive_form(request) as form:
        timings["receive"] = time.perf_counter() - started
        params = read_params(request, form)
        output = Output.parse(text_option(request, form, params, "output"))
        name = text_option(request, form, params, "model")
        model, reference = await asyncio.to_thread(_model, request, name, address)
        started = time.perf_counter()
        async with image_of(request, form, text_option(request, form, params, "session_id")) as image:
            timings["decode"] = time.perf_counter() - started
            label = await label_of(form, image)
            inputs = model_inputs(params, model, image.volume.shape[2], label)
            outcome = await ask_model(request, model, reference, image, inputs)
            started = time.perf_counter()
            mask = await asyncio.to_thread(_within, outcome, inputs.roi)
            told = await asyncio.to_thread(_told, outcome, mask)
            names = outcome.label_names
            response = await asyncio.to_thread(reply, output, told, mask, image, params, names)
            timings["encode"] = time.perf_counter() - started
            return response


def _model(request: Request, name: str, address: str) -> tuple[ModelDescription, ModelReference]:
    """Raises:
    UnknownModel: there is no such model.
    BadRequest: none is named, or one of another type.
    """
    if not name:
        raise BadRequest("Name a model with ?model=; GET /v1/models lists those that there are.")
    models = models_of(request)
    name = name.replace(" ", "+")  # a plus that a client did not escape; no name has a blank
    model = models.description(name)
    if model.type not in TYPES[address]:
        better = _ADDRESSES.get(model.type, "/v1/segmentation" if model.type in TYPES["segmentation"] else "")
        where = f"{better} or /v1/inference" if better else "/v1/inference"
        raise BadRequest(f"The model {name!r} is of type {model.type.value}: send it to {where}.")
    return model, models.reference(name)


def _within(outcome: ModelOutcome, roi: Roi | None) -> LabelArray | None:
    """The mask without what lies outside the region; not every model looks at it."""
    mask = outcome.mask
    if mask is None or roi is None:
        return mask
    inside = tuple(slice(max(0, first), max(0, last + 1)) for first, last in roi)
    limited = np.zeros_like(mask)
    limited[inside] = mask[inside]
    return limited


def _told(outcome: ModelOutcome, mask: LabelArray | None) -> Mapping[str, Any]:
    """JSON of the answer. Clients read ``points``: the extreme points of what was segmented."""
    told: dict[str, Any] = dict(outcome.result)
    if mask is None:
        return told
    told.setdefault("label_names", dict(outcome.label_names))
    if "points" not in told and "extreme_points" not in told:
        told["points"] = extreme_points(mask)
    return told


def extreme_points(mask: LabelArray) -> list[list[int]]:
    """Voxels at both ends of the first label along each axis, six of them; none when the mask is empty."""
    occupied = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    if not len(occupied[0]):
        return []
    block = tuple(slice(int(axis[0]), int(axis[-1]) + 1) for axis in occupied)
    inside = mask[block]
    voxels = np.argwhere(inside == inside[inside > 0].min()) + [int(axis[0]) for axis in occupied]
    ends = [voxels[pick(voxels[:, axis])] for axis in range(3) for pick in (np.argmin, np.argmax)]
    return [[int(index) for index in end] for end in ends]
