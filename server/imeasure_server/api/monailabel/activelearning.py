"""``POST /activelearning/{strategy}``: which image to label next."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from fastapi import APIRouter, Request

from imeasure_server.api.monailabel.failures import datastore_errors
from imeasure_server.api.monailabel.infer_request import form_fields
from imeasure_server.api.monailabel.values import json_object
from imeasure_server.api.resources import datastore_of
from imeasure_server.api.upload_form import receive_form
from imeasure_server.datastore import next_sample
from imeasure_server.errors import BadRequest

router = APIRouter(tags=["MONAI Label"])


@router.post("/activelearning/{strategy}", summary="The next image to label")
@router.post("/activelearning/{strategy}/", include_in_schema=False)
async def activelearning(request: Request, strategy: str) -> dict[str, Any]:
    """Strategies are ``random``, ``first`` and ``last``; {} when every image has its final label."""
    async with receive_form(request) as form:
        try:
            text = form.body.decode("utf-8") if form.body else form_fields(request, form).get("params", "")
        except UnicodeDecodeError:
            raise BadRequest("The body is not UTF-8 text.") from None
        params = json_object(text, "The body")
    client = params.get("client_id")
    with datastore_errors():
        sample = await asyncio.to_thread(
            next_sample, datastore_of(request), strategy, client if isinstance(client, str) else None
        )
    if sample is None:
        return {}
    image = sample.image.image
    answer: dict[str, Any] = {"id": image.id}
    if sample.weight is not None:
        answer["weight"] = sample.weight
    # The plugin opens a path that exists where it runs, instead of downloading the image.
    answer["path"] = str(image.files[0].resolve()) if not image.is_converted and _is_local(request) else ""
    return {**answer, **sample.image.info}


def _is_local(request: Request) -> bool:
    """Whether the request came from this machine, which may know paths of this machine."""
    if request.client is None or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
