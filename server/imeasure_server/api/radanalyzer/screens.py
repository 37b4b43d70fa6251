"""``POST /v3/corners``, ``/v3/rectify`` and ``/v3/preprocess``: photographs of screens. Never charged."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from imeasure_server.api.disconnect import run_until_disconnect
from imeasure_server.api.radanalyzer.answers import CORNER_ORDER, Json, corner_pairs, in_base64
from imeasure_server.api.radanalyzer.errors import InvalidField, NoScreen
from imeasure_server.api.radanalyzer.fields import corner_fields, only_image, read_body
from imeasure_server.api.radanalyzer.measuring import ask_for_screens, deadline_of, run_job
from imeasure_server.api.radanalyzer.openapi import corners_docs, preprocess_docs, rectify_docs
from imeasure_server.api.radanalyzer.replies import json_answer
from imeasure_server.vhs.jobs import CornersOutcome, FindCorners, Rectify
from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.version import MODEL_VERSION

router = APIRouter()


@router.post("/corners", summary="Find the corners of the screen in a photograph", **corners_docs())
async def corners(request: Request) -> Response:
    """In pixels of the photograph, to a hundredth. 422 when there is no screen."""
    await ask_for_screens(request)
    deadline = deadline_of(request)
    content = await only_image(await deadline.within(read_body(request)))
    outcome = await deadline.within(run_until_disconnect(request, run_job(request, FindCorners(content))))
    answer = {
        "corners": corner_pairs(_found(outcome)),
        "order": CORNER_ORDER,
        "image_width": outcome.width,
        "image_height": outcome.height,
        "model_version": MODEL_VERSION,
    }
    return await json_answer(lambda: answer)


@router.post("/rectify", summary="Correct the perspective of a photograph", **rectify_docs())
async def rectify(request: Request) -> Response:
    """The screen as if it had been photographed straight on, in its own aspect ratio."""
    await ask_for_screens(request)
    deadline = deadline_of(request)
    body = await deadline.within(read_body(request))
    content, points = await only_image(body), corner_fields(body)
    outcome = await deadline.within(run_until_disconnect(request, run_job(request, Rectify(content, points))))
    if outcome.jpeg is None:
        raise InvalidField("corners", "are not the corners of a screen, in the order TL, TR, BR, BL")
    jpeg, width, height = outcome.jpeg, outcome.width, outcome.height
    return await json_answer(lambda: _rectified(jpeg, width, height))


@router.post("/preprocess", summary="Find the screen in a photograph and correct the perspective", **preprocess_docs())
async def preprocess(request: Request) -> Response:
    """``/v3/corners`` and ``/v3/rectify`` in one. 422 when there is no screen."""
    await ask_for_screens(request)
    deadline = deadline_of(request)
    content = await only_image(await deadline.within(read_body(request)))

    async def find_and_rectify() -> tuple[FloatArray, Json]:
        points = _found(await run_job(request, FindCorners(content)))
        flat = await run_job(request, Rectify(content, points))
        if flat.jpeg is None:
            raise NoScreen
        return points, _rectified(flat.jpeg, flat.width, flat.height)

    points, answer = await deadline.within(run_until_disconnect(request, find_and_rectify()))
    return await json_answer(lambda: {**answer, "corners": corner_pairs(points), "order": CORNER_ORDER})


def _found(outcome: CornersOutcome) -> FloatArray:
    if outcome.corners is None:
        raise NoScreen
    return outcome.corners


def _rectified(jpeg: bytes, width: int, height: int) -> dict[str, Any]:
    return {
        "rectified_image": in_base64(jpeg),
        "width": width,
        "height": height,
        "model_version": MODEL_VERSION,
    }
