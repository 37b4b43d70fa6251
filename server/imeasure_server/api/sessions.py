"""``/session``: an image that is sent, or fetched, once and then named by an id; of AIAA and MONAI Label alike."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from imeasure_server.api.access import session_owner
from imeasure_server.api.disconnect import ClientDisconnected, run_until_disconnect
from imeasure_server.api.resources import image_sessions_of, images_of, settings_of
from imeasure_server.api.session_schema import CREATE_BODY, CREATED, FOUND
from imeasure_server.api.upload_form import Upload, UploadForm, receive_form, uploads_folder
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.retrieval.sources import (
    Allowance,
    AllowedSources,
    FetchedFile,
    RetrievalCancelled,
    RetrievalError,
    SourceFailed,
    SourceInvalid,
    SourceNotAllowed,
    SourceTooLarge,
    SourceTooSlow,
)
from imeasure_server.store.image_sessions import ImageSession

router = APIRouter(tags=["AIAA", "MONAI Label"])

FILE_FIELDS = ("image", "datapoint", "files", "file")
"""What AIAA's and MONAI Label's clients call the upload."""
FIXED_DATE = (1980, 1, 1, 0, 0, 0)

_ANSWERS: dict[type[RetrievalError], tuple[int, str]] = {
    SourceInvalid: (400, "BAD_REQUEST"),
    SourceNotAllowed: (403, "SOURCE_NOT_ALLOWED"),
    SourceTooLarge: (413, "PAYLOAD_TOO_LARGE"),
    SourceFailed: (502, "SOURCE_FAILED"),
    SourceTooSlow: (504, "SOURCE_TOO_SLOW"),
}

Result = TypeVar("Result")


@router.put("/session/", summary="Begin a session with an image", responses=CREATED, openapi_extra=CREATE_BODY)
@router.put("/session", include_in_schema=False)
async def create_session(request: Request, expiry: str = "0") -> Response:
    """The image is a file of the form, or a JSON body says where to fetch it: ``{"dicom": {...}}`` from a PACS by
    C-GET, ``{"http": {...}}`` from a web server, each of which whoever runs the server must have allowed.

    The session ends ``expiry`` seconds after its last use; 0, or more than the server's own time, means that time.
    """
    seconds = _seconds(expiry)
    timings: dict[str, float] = request.state.timings
    started = time.perf_counter()
    async with receive_form(request) as form:
        timings["receive"] = time.perf_counter() - started
        async with _image(request, form) as (path, name, digest):
            started = time.perf_counter()
            create = partial(image_sessions_of(request).create, path, name, digest, seconds, session_owner(request))
            session = await asyncio.to_thread(create)
            timings["store"] = time.perf_counter() - started
    return JSONResponse(describe(session))


@router.get("/session/{session_id}", summary="A session, or its image", responses=FOUND, response_class=Response)
@router.get("/session/{session_id}/", include_in_schema=False)
async def get_session(request: Request, session_id: str, image: bool = False) -> Response:
    """With ``image=true`` the file as it was uploaded, else JSON about the session."""
    session = await _find(request, session_id)
    if image:
        return FileResponse(session.path, media_type="application/octet-stream", filename=session.name)
    return JSONResponse(describe(session))


@router.delete("/session/{session_id}", summary="End a session", responses=FOUND)
@router.delete("/session/{session_id}/", include_in_schema=False)
async def delete_session(request: Request, session_id: str) -> Response:
    """The image is deleted; the session's id means nothing any more."""
    session = await _find(request, session_id)
    await asyncio.to_thread(image_sessions_of(request).delete, session_id, session_owner(request))
    return JSONResponse(describe(session))


def describe(session: ImageSession) -> dict[str, Any]:
    """What clients of both protocols read: after PUT within ``session_info``, after GET outside it."""
    info = {
        "name": session.id,
        "image": session.name,
        "size": session.size,
        "meta": {},
        "create_ts": int(session.created.timestamp()),
        "last_access_ts": int(session.last_used.timestamp()),
        "expiry": session.expiry_seconds,
        "expires": session.expires.isoformat(),
    }
    return {"session_id": session.id, "session_info": info, **info}


async def _find(request: Request, session_id: str) -> ImageSession:
    session = await asyncio.to_thread(image_sessions_of(request).find, session_id, session_owner(request))
    if session is None:
        raise ApiError(404, "SESSION_NOT_FOUND", "There is no such session, or it has expired.")
    return session


def _seconds(expiry: str) -> int:
    try:
        return min(max(int(float(expiry or "0")), 0), 1 << 31)
    except (ValueError, OverflowError):
        raise BadRequest("expiry is a number of seconds.") from None


@asynccontextmanager
async def _image(request: Request, form: UploadForm) -> AsyncIterator[tuple[Path, str, str]]:
    """Path, name and digest of the image that was sent, or that has been fetched; it can be decoded.

    Raises:
        ApiError: there is none; a sentence.
        ClientDisconnected: nobody waits for it any more.
    """
    images = images_of(request)
    uploads = next((form.files[name] for name in (*FILE_FIELDS, *form.files) if name in form.files), [])
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=uploads_folder(settings_of(request).workspace)) as name:
        folder = Path(name)
        if len(uploads) == 1:
            sent = uploads[0].path, uploads[0].name, uploads[0].sha256
            await _decode(request, sent[2], partial(images.decode, *sent))
            yield sent
        elif uploads:
            yield await _series(request, uploads, folder / "series.zip")
        else:
            fetch, allowance = _fetching(request, _sources(form), folder)
            fetched = await run_until_disconnect(request, _in_thread(fetch, allowance))
            sent = fetched.path, fetched.name, fetched.sha256
            await _decode(request, sent[2], partial(images.decode, *sent))
            yield sent


async def _series(request: Request, uploads: Sequence[Upload], path: Path) -> tuple[Path, str, str]:
    """The files of a series that were sent one by one, decoded, and packed as they will be kept."""
    uploads = sorted(uploads, key=lambda upload: upload.sha256)
    digest = hashlib.sha256("".join(upload.sha256 for upload in uploads).encode()).hexdigest()
    paths, names = [upload.path for upload in uploads], [upload.name for upload in uploads]
    await _decode(request, digest, partial(images_of(request).decode_files, paths, digest, names=names))
    await asyncio.to_thread(_pack, uploads, path)
    return path, "series.zip", digest


async def _decode(request: Request, digest: str, decode: Callable[[], StoredImage]) -> None:
    """Now, so that an image that cannot be used is refused, and the first question is answered sooner.

    Raises:
        BadRequest: it cannot be read; a sentence.
    """
    started = time.perf_counter()
    with images_of(request).hold(digest):
        try:
            await asyncio.to_thread(decode)
        except ImageError as error:
            raise BadRequest(str(error)) from error
    request.state.timings["decode"] = time.perf_counter() - started


def _sources(form: UploadForm) -> dict[str, Any]:
    """The JSON that says where the image is: the body, whatever ``curl -d`` calls it, or the form's ``params``."""
    text = form.body.decode("utf-8", "replace") if form.body else form.fields.get("params", "")
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not ("dicom" in value or "http" in value):
        raise BadRequest(
            'Send an image in the part "image" of a form, or JSON with a "dicom" or an "http" source to fetch it from.'
        )
    return value


def _fetching(request: Request, sources: dict[str, Any], folder: Path) -> tuple[Callable[[], FetchedFile], Allowance]:
    from imeasure_server.retrieval.http_source import HttpSource, fetch_http  # what they use is not small, and most
    from imeasure_server.retrieval.pacs import PacsSource, fetch_dicom  # servers fetch nothing

    settings = settings_of(request)
    allowed = AllowedSources(settings.session_sources)
    allowance = Allowance(settings.max_upload_bytes, cancelled=threading.Event())
    with _answered():
        if "dicom" in sources:
            return partial(fetch_dicom, PacsSource.parse(sources["dicom"]), allowed, folder, allowance), allowance
        return partial(fetch_http, HttpSource.parse(sources["http"]), allowed, folder, allowance), allowance


async def _in_thread(fetch: Callable[[], FetchedFile], allowance: Allowance) -> FetchedFile:
    """Fetch in a thread; when this is cancelled, stop that thread and wait for it: its folder is removed next."""
    fetching = asyncio.ensure_future(asyncio.to_thread(fetch))
    try:
        with _answered():
            return await asyncio.shield(fetching)
    except asyncio.CancelledError:
        allowance.cancelled.set()
        await asyncio.wait({fetching})
        fetching.exception()  # it was seen
        raise


class _answered:
    """Errors of fetching become answers."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, RetrievalCancelled):
            raise ClientDisconnected from error
        if isinstance(error, RetrievalError):
            status, code = _ANSWERS[type(error)]
            raise ApiError(status, code, str(error)) from error


def _pack(uploads: Sequence[Upload], path: Path) -> None:
    """The zip that files could have been sent as."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, upload in enumerate(uploads):
            entry = zipfile.ZipInfo(f"{number:05d}/{upload.name}", FIXED_DATE)
            with upload.path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as member:
                while block := source.read(1 << 20):
                    member.write(block)
