"""``POST /infer/{model}``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from imeasure_server.api.model_answers import ask_model
from imeasure_server.api.monailabel.devices import device_for
from imeasure_server.api.monailabel.failures import datastore_errors
from imeasure_server.api.monailabel.image_source import image_of
from imeasure_server.api.monailabel.infer_reply import Answer, interactive_params, model_params, render
from imeasure_server.api.monailabel.infer_request import InferRequest, Mode, read_infer_request
from imeasure_server.api.monailabel.model_inputs import prepare
from imeasure_server.api.monailabel.openapi import INFER_BODY, INFER_RESPONSES
from imeasure_server.api.resources import datastore_of, models_of, pool_of, settings_of
from imeasure_server.api.upload_form import receive_form
from imeasure_server.datastore.names import ORIGINAL
from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import Geometry
from imeasure_server.models.description import ModelDescription
from imeasure_server.models.reference import ModelReference

router = APIRouter(tags=["MONAI Label"])


@router.post(
    "/infer/{model}",
    summary="Segment an image with a model",
    response_class=Response,
    responses=INFER_RESPONSES,
    openapi_extra=INFER_BODY,
)
@router.post("/infer/{model}/", include_in_schema=False)
async def infer(request: Request, model: str) -> Response:
    """The image is a file of the form, or named by ``image`` (of the studies) or ``session_id``. OHIF-AI's ``nninter``
    and its prompts, MONAI Label's own ``foreground``/``background`` points, scribbles and automatic models.
    Nothing is remembered between requests but the decoded image.
    """
    timings: dict[str, float] = request.state.timings
    started = time.perf_counter()
    async with receive_form(request) as form:
        timings["receive"] = time.perf_counter() - started
        description, reference = await asyncio.to_thread(_model, request, model)
        wanted = read_infer_request(request, form, description)
        device = device_for(wanted.params, pool_of(request))
        started = time.perf_counter()
        async with image_of(request, wanted) as image:
            timings["decode"] = time.perf_counter() - started
            if wanted.mode in (Mode.INIT, Mode.RESET):
                return JSONResponse({}, headers=device.headers)
            answer = await _answer(request, wanted, image, description, reference)
            answer = answer.on(device)
            await _save_label(request, wanted, description.name, answer)
            started = time.perf_counter()
            response = await asyncio.to_thread(render, wanted, answer, settings_of(request).ohif_layout)
            timings["encode"] = time.perf_counter() - started
            return response


def _model(request: Request, name: str) -> tuple[ModelDescription, ModelReference]:
    """Raises:
    UnknownModel: there is no such model.
    """
    models = models_of(request)
    return models.description(name), models.reference(name)


async def _answer(
    request: Request, wanted: InferRequest, image: StoredImage, model: ModelDescription, reference: ModelReference
) -> Answer:
    """Ask the model."""
    ohif_layout = settings_of(request).ohif_layout
    prepared = await asyncio.to_thread(prepare, wanted, image, model, ohif_layout)
    started = time.perf_counter()
    outcome = await ask_model(request, model, reference, image, prepared.inputs)
    elapsed = time.perf_counter() - started
    if wanted.mode is None:
        return Answer(outcome, image, await asyncio.to_thread(model_params, outcome, elapsed))
    params = interactive_params(wanted, prepared.prompt_info, elapsed, image.flipped)
    return Answer(outcome, image, params)


async def _save_label(request: Request, wanted: InferRequest, model: str, answer: Answer) -> None:
    """Keep the mask as a label of an image of the studies, where ``save_label`` asks for it."""
    from_studies = wanted.image and wanted.file is None and not wanted.session
    if wanted.params.get("save_label") is not True or not from_studies or answer.outcome.mask is None:
        return
    tag = str(wanted.params.get("label_tag") or ORIGINAL)
    info: dict[str, Any] = {"model": model, "params": dict(answer.params)}
    with datastore_errors():
        await asyncio.to_thread(partial(_write_label, request, wanted.image, tag, info, answer))


def _write_label(request: Request, image_id: str, tag: str, info: dict[str, Any], answer: Answer) -> None:
    assert answer.outcome.mask is not None
    volume = answer.image.volume
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "label.nii.gz"
        path.write_bytes(encode_label(answer.outcome.mask, Geometry(volume.affine, volume.shape), ".nii.gz"))
        datastore_of(request).save_label(image_id, path, path.name, tag, info)
