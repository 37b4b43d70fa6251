"""Where the image of an AIAA request comes from: a session, or a file of the form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from imeasure_server.api.access import session_owner
from imeasure_server.api.resources import image_sessions_of, images_of
from imeasure_server.api.upload_form import Upload, UploadForm
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import LabelArray, read_label
from imeasure_server.imaging.label_grid import label_on_grid
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import Geometry

FIELDS = ("image", "datapoint", "file", "files")
LABEL = "label"
SESSION_EXPIRED = 440


class SessionExpired(ApiError):
    """The one status that AIAA's clients know: they upload the image again."""

    def __init__(self) -> None:
        sentence = "There is no such session, or it has expired: send the image again."
        super().__init__(SESSION_EXPIRED, "SESSION_EXPIRED", sentence)


@asynccontextmanager
async def image_of(request: Request, form: UploadForm, session_id: str) -> AsyncIterator[StoredImage]:
    """The decoded image, kept from being cleaned up inside the block. A session goes before a file, as in AIAA.

    Raises:
        SessionExpired: there is no such session of this client.
        BadRequest: there is no image, or it cannot be read; a sentence.
    """
    images = images_of(request)
    if session_id:
        session = await asyncio.to_thread(image_sessions_of(request).find, session_id, session_owner(request))
        if session is None:
            raise SessionExpired
        path, name, digest = session.path, session.name, session.digest
    else:
        upload = form.file(*FIELDS) or _any_other(form)
        if upload is None:
            raise BadRequest('Send the image in the part "image", or name a session with session_id.')
        path, name, digest = upload.path, upload.name, upload.sha256
    with images.hold(digest):
        try:
            image = await asyncio.to_thread(images.decode, path, name, digest)
        except ImageError as error:
            raise BadRequest(str(error)) from error
        except FileNotFoundError:
            if session_id:  # it ended a moment ago
                raise SessionExpired from None
            raise
        yield image


async def label_of(form: UploadForm, image: StoredImage) -> LabelArray | None:
    """The mask in the part ``label``, on the image's voxels: to refine, or scribbles.

    Raises:
        BadRequest: it cannot be read, or is not of this image; a sentence.
    """
    upload = form.file(LABEL)
    if upload is None:
        return None
    try:
        return await asyncio.to_thread(_read, upload, Geometry(image.volume.affine, image.volume.shape))
    except ImageError as error:
        raise BadRequest(f"The label cannot be used: {error}") from error


def _read(upload: Upload, geometry: Geometry) -> LabelArray:
    return label_on_grid(read_label(upload.path, upload.name), geometry)


def _any_other(form: UploadForm) -> Upload | None:
    return next((files[0] for name, files in form.files.items() if name not in (LABEL, "params")), None)
