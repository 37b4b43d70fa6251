"""``/v1/mask2polygon`` and ``/v1/fixpolygon``."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from imeasure_server.api.aiaa.image_source import image_of
from imeasure_server.api.aiaa.openapi import FIX_BODY, FIX_RESPONSES, POLYGONS_BODY, POLYGONS_RESPONSES
from imeasure_server.api.aiaa.polygon_params import PolygonEdit, read_edit, to_wire
from imeasure_server.api.aiaa.replies import Output, reply
from imeasure_server.api.aiaa.request_params import read_params, text_option
from imeasure_server.api.monailabel.values import number
from imeasure_server.api.upload_form import receive_form
from imeasure_server.errors import BadRequest
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.segmentation.polygons.editing import move_vertex
from imeasure_server.segmentation.polygons.outlines import fill_polygons
from imeasure_server.segmentation.polygons.volume import (
    fill_volume,
    move_vertex_in_volume,
    useful_slice,
    volume_polygons,
)

router = APIRouter(tags=["AIAA"])

MORE_POINTS = 10
MAX_STEP = 1 << 20


@router.post(
    "/v1/mask2polygon",
    summary="Outlines of a mask on every slice",
    responses=POLYGONS_RESPONSES,
    openapi_extra=POLYGONS_BODY,
)
async def mask2polygon(request: Request) -> Response:
    """A list for every slice of the mask, of polygons, of points. ``more_points``: a vertex about every so many pixels
    of the outline, more of them where the shape needs it.

    As in AIAA, points of a volume are ``[second, first]`` voxel index, and points of a picture ``[x, y]``.
    """
    async with receive_form(request) as form:
        params = read_params(request, form)
        value = params.get("more_points", MORE_POINTS)
        step = round(min(max(1, number(MORE_POINTS if value is None else value, "more_points")), MAX_STEP))
        async with image_of(request, form, text_option(request, form, params, "session_id")) as image:
            return JSONResponse(await asyncio.to_thread(_polygons, image, step))


@router.post(
    "/v1/fixpolygon",
    summary="Move a vertex of a polygon",
    response_class=Response,
    responses=FIX_RESPONSES,
    openapi_extra=FIX_BODY,
)
async def fixpolygon(request: Request) -> Response:
    """The vertex stays where it was put; its neighbours, and those on neighbouring slices, follow it less and less and
    are drawn to the edges of the image. The answer has the polygons, and the mask that they make.
    """
    async with receive_form(request) as form:
        params = read_params(request, form)
        output = Output.parse(text_option(request, form, params, "output"))
        async with image_of(request, form, text_option(request, form, params, "session_id")) as image:
            edit = read_edit(params, turned=_is_turned(image))
            polygons, mask = await asyncio.to_thread(_edited, image, edit)
            return await asyncio.to_thread(reply, output, {"poly": polygons}, mask, image, params)


def _polygons(image: StoredImage, step: int) -> list[Any]:
    array = image.volume.open().array
    polygons = volume_polygons(np.asarray(array > 0), step)
    return to_wire(polygons, turned=_is_turned(image))


def _edited(image: StoredImage, edit: PolygonEdit) -> tuple[list[Any], npt.NDArray[np.uint8]]:
    """The polygons as they are sent, and the mask."""
    volume = image.volume.open()
    turned = _is_turned(image)
    try:
        if edit.slice_index is not None:
            moved = move_vertex_in_volume(volume.array, edit.polygons, edit.slice_index, edit.move, edit.slices)
            return to_wire(moved, turned), fill_volume(moved, image.volume.shape).astype(np.uint8)
        if image.volume.shape[2] != 1:
            raise BadRequest("This image has several slices: send dimension 3, a slice_index and polygons per slice.")
        flat = move_vertex(useful_slice(volume.array, 0), edit.polygons[0], edit.move)
    except IndexError:
        raise BadRequest("There is no such slice, polygon or vertex: look at the indices, which begin at 0.") from None
    mask = fill_polygons(flat, image.volume.shape[:2])[:, :, None]
    return to_wire([flat], turned)[0], mask.astype(np.uint8)


def _is_turned(image: StoredImage) -> bool:
    """AIAA read volumes as arrays whose first axis is x, and took that for the row: its points are ``[y, x]`` there,
    which NVIDIA's MITK plugin and tests count on.
    """
    return image.format != "picture"
