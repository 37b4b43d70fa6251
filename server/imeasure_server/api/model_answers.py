"""One question to one model, for every protocol that asks models by name."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request

from imeasure_server.api.disconnect import run_until_disconnect
from imeasure_server.api.monailabel.failures import model_errors
from imeasure_server.api.resources import answers_of, pool_of
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.models.answer_cache import question_key
from imeasure_server.models.description import ModelDescription
from imeasure_server.models.inference import ModelInputs
from imeasure_server.models.model_jobs import ModelOutcome, RunModel
from imeasure_server.models.reference import ModelReference


async def ask_model(
    request: Request, model: ModelDescription, reference: ModelReference, image: StoredImage, inputs: ModelInputs
) -> ModelOutcome:
    """The model's answer: remembered, or of a worker, whose job ends when the client goes away. What it took is added
    to the request's timings; ``remembered`` among them says that no model ran.

    Raises:
        ApiError: the model has none; a sentence.
        PoolError: no worker can be had.
    """
    timings: dict[str, float] = request.state.timings
    answers = answers_of(request)
    started = time.perf_counter()
    key = await asyncio.to_thread(question_key, reference, image, inputs) if model.repeatable else ""
    outcome = answers.find(key) if key else None
    if outcome is not None:
        timings["remembered"] = time.perf_counter() - started
        return outcome
    with model_errors():
        outcome = await run_until_disconnect(
            request, pool_of(request).submit(RunModel(reference, image.volume, inputs))
        )
    timings.update(outcome.timings)
    if key:
        answers.keep(key, outcome)
    return outcome
