"""Reads the body of a ``/v3`` request and checks its fields."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import ClientDisconnect, Request

from imeasure_server.api.disconnect import ClientDisconnected
from imeasure_server.api.radanalyzer.errors import (
    MAX_IMAGES,
    ImageTooLarge,
    InvalidField,
    MissingField,
)
from imeasure_server.api.radanalyzer.images import MAX_WRITTEN_BYTES, ImageText, checked_image, image_bytes
from imeasure_server.api.radanalyzer.json_body import (
    MAX_OTHER_BYTES,
    JsonBody,
    LongString,
    MalformedJson,
    StringTooLong,
)
from imeasure_server.api.resources import settings_of
from imeasure_server.errors import BadRequest, PayloadTooLarge
from imeasure_server.vhs.landmarks import FloatArray

MAX_UUID = 200

Body = dict[str, Any]


async def read_body(request: Request, images: int = 1) -> Body:
    """The JSON object of the request; long strings in it are `LongString`.

    Args:
        request: its body is read.
        images: how many there may be in it; without any it may be empty altogether.

    Raises:
        ApiError: it is too large, compressed, or no JSON object.
        ClientDisconnected: it never came whole.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadRequest("Compressed bodies are not supported: send plain JSON")
    theirs = settings_of(request).max_body_bytes
    limit = min(images * MAX_WRITTEN_BYTES + MAX_OTHER_BYTES, theirs)
    too_large = PayloadTooLarge(theirs) if limit == theirs else ImageTooLarge()
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body, received = JsonBody(MAX_WRITTEN_BYTES), 0
    try:
        async for piece in request.stream():
            received += len(piece)
            if received > limit:
                raise too_large
            body.feed(piece)
    except StringTooLong as error:
        raise ImageTooLarge from error
    except ClientDisconnect as error:
        raise ClientDisconnected from error
    if not received and not images:
        return {}
    try:
        content = body.content()
    except MalformedJson as error:
        raise BadRequest("Invalid JSON in the request body") from error
    if not isinstance(content, dict):
        raise BadRequest("Invalid JSON in the request body: it must be an object")
    return content


@dataclass(frozen=True, eq=False)
class PredictFields:
    """What is asked of a prediction.

    Attributes:
        images: at least one, as they were sent; taken out of the list as they are decoded.
        is_batch: whether they came as ``images``.
        uuid: of the patient, or None.
        render: whether annotated pictures are wanted.
    """

    images: list[ImageText]
    is_batch: bool
    uuid: str | None
    render: bool


def predict_fields(body: Body, batch_only: bool = False) -> PredictFields:
    """Raises:
    ApiError: a field is missing or wrong.
    """
    uuid, render = _uuid(body), body.get("render")
    if render is not None and not isinstance(render, bool):
        raise InvalidField("render", "must be true or false")
    several, single = body.get("images"), body.get("image")
    if several is None:
        if single is None:
            raise MissingField("images" if batch_only else "image")
        return PredictFields([_image_text(single, "image")], batch_only, uuid, bool(render))
    if single is not None:
        raise BadRequest("Send either image or images, not both")
    if not isinstance(several, list) or not several:
        raise InvalidField("images", f"must be an array of 1 to {MAX_IMAGES} base64 strings")
    if len(several) > MAX_IMAGES:
        raise BadRequest(f"Too many images: at most {MAX_IMAGES} per request")
    texts = [_image_text(item, f"images[{index}]") for index, item in enumerate(several)]
    return PredictFields(texts, True, uuid, bool(render))


async def only_image(body: Body) -> bytes:
    """The bytes of ``image``, which begin like a picture that can be read.

    Raises:
        ApiError: it is missing, no base64, too large, or no picture.
    """
    if body.get("image") is None:
        raise MissingField("image")
    text = _image_text(body["image"], "image")
    return await asyncio.to_thread(lambda: checked_image(image_bytes(text)))


@dataclass(frozen=True)
class FrameFields:
    """Whose frame it is, beside its image."""

    session_id: str
    uuid: str | None


def frame_fields(body: Body) -> FrameFields:
    """Raises:
    ApiError: a field is missing or wrong.
    """
    for name in ("image", "session_id"):
        if body.get(name) is None:
            raise MissingField(name)
    session_id = body["session_id"]
    if not isinstance(session_id, str):
        raise InvalidField("session_id", "must be a string")
    return FrameFields(session_id, _uuid(body))


def corner_fields(body: Body) -> FloatArray:
    """``corners`` as (4, 2) in pixels.

    Raises:
        ApiError: they are missing, or not four pairs of numbers.
    """
    corners = body.get("corners")
    if corners is None:
        raise MissingField("corners")
    if not isinstance(corners, list) or len(corners) != 4 or not all(map(_is_point, corners)):
        raise InvalidField("corners", "must be four [x, y] pairs in pixels, in the order TL, TR, BR, BL")
    return np.array(corners, float)


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
        and all(abs(part) < 1e6 and math.isfinite(part) for part in value)
    )


def _image_text(value: Any, name: str) -> ImageText:
    if not isinstance(value, str | LongString):
        raise InvalidField(name, "must be a base64 string")
    return value


def _uuid(body: Body) -> str | None:
    """None for an empty one too."""
    uuid = body.get("uuid")
    if uuid is None or uuid == "":
        return None
    if not isinstance(uuid, str) or len(uuid) > MAX_UUID:
        raise InvalidField("uuid", f"must be a string of at most {MAX_UUID} characters")
    return uuid
