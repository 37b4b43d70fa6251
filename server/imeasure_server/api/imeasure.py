"""``POST /seg`` of the iMeasure 3D API: HTTP in, HTTP out."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request

from imeasure_server.api.multipart import DuplicatePart, MalformedForm, Part, boundary_of, read_form
from imeasure_server.api.seg_request import part_limits
from imeasure_server.errors import (
    ApiError,
    MissingImage,
    MissingMetadata,
    PayloadTooLarge,
    RequestInvalid,
    UnsupportedMediaType,
)

router = APIRouter(tags=["iMeasure"])


async def _read_parts(request: Request, max_body_bytes: int) -> Mapping[str, Part]:
    """The parts of the body.

    Raises:
        ApiError: the body is too large, of another type or not well-formed.
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


def _answer_to(error: MalformedForm) -> ApiError:
    """A broken form is answered as the first part that is missing because of it."""
    details = {error.field: [str(error)]}
    if isinstance(error, DuplicatePart):
        return RequestInvalid(details)
    if "metadata" not in error.parts:
        return MissingMetadata(details)
    if "image" not in error.parts:
        return MissingImage(details)
    return RequestInvalid(details)
