"""Where the image of a request comes from: a session, an upload, or the studies folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import Request

from imeasure_server.api.access import session_owner
from imeasure_server.api.monailabel.failures import datastore_errors
from imeasure_server.api.monailabel.infer_request import InferRequest
from imeasure_server.api.resources import datastore_of, image_sessions_of, images_of
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.stored_image import StoredImage


@asynccontextmanager
async def image_of(request: Request, wanted: InferRequest) -> AsyncIterator[StoredImage]:
    """The decoded image, kept from being cleaned up inside the block. As in MONAI Label, a session goes before an
    upload, and that before an image of the studies folder.

    Raises:
        BadRequest: it cannot be read; a sentence.
        ApiError: there is no such session or image.
    """
    try:
        if wanted.session:
            path, name, digest = await _session(request, wanted.session)
        elif wanted.file is not None:
            path, name, digest = wanted.file.path, wanted.file.name, wanted.file.sha256
        else:
            with datastore_errors():
                image = await asyncio.to_thread(datastore_of(request).load, wanted.image)
            with images_of(request).hold(image.digest):
                yield image
            return
    except ImageError as error:
        raise BadRequest(str(error)) from error
    async with _decoded(request, path, name, digest, _series(wanted)) as image:
        yield image


@asynccontextmanager
async def _decoded(request: Request, path: Path, name: str, digest: str, series: str) -> AsyncIterator[StoredImage]:
    images = images_of(request)
    with images.hold(digest, series):
        try:
            image = await asyncio.to_thread(partial(images.decode, path, name, digest, series_uid=series))
        except ImageError as error:
            raise BadRequest(str(error)) from error
        yield image


async def _session(request: Request, session_id: str) -> tuple[Path, str, str]:
    """File, name and digest of a session."""
    sessions = image_sessions_of(request)
    session = await asyncio.to_thread(sessions.find, session_id, session_owner(request))
    if session is None:
        raise ApiError(404, "SESSION_NOT_FOUND", "There is no such session, or it has expired: upload the image again.")
    return session.path, session.name, session.digest


def _series(wanted: InferRequest) -> str:
    """Which series of a zip with several, where the client says so."""
    uid = wanted.params.get("seriesInstanceUID") or wanted.params.get("SeriesInstanceUID")
    return uid if isinstance(uid, str) else ""
