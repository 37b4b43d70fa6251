"""Server-sent events: a prediction told image by image. WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from imeasure_server.api.disconnect import ClientDisconnected, run_until_disconnect
from imeasure_server.api.radanalyzer.accounts import charge
from imeasure_server.api.radanalyzer.answers import Json, Photo, photo_fields, summary_fields
from imeasure_server.api.radanalyzer.fields import PredictFields
from imeasure_server.api.radanalyzer.measuring import Deadline, Upload, measured_photos
from imeasure_server.store.usage import Measurement
from imeasure_server.vhs.batch import summarise
from imeasure_server.vhs.version import MODEL_VERSION

HEARTBEAT_SECONDS = 10.0
"""Between two signs of life; proxies close connections that are silent for a minute, some for 30 s."""

HEARTBEAT = b": still working\n\n"


def event(name: str, data: Json) -> bytes:
    """One event as it is written."""
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


async def stream_events(
    request: Request, key_id: int, fields: PredictFields, uploads: Sequence[Upload], deadline: Deadline
) -> AsyncGenerator[bytes, None]:
    """The events of one request.

    It is charged once, before the summary is sent, or when the client goes away after it was told a VHS.
    """
    count = len(uploads)
    yield event("processing_started", {"n_images": count, "model_version": MODEL_VERSION})
    photos: list[Photo] = []
    try:
        async with aclosing(measured_photos(request, uploads, fields.render, deadline)) as measured:
            async for photo in measured:
                piece = await asyncio.to_thread(_photo_event, len(photos), count, photo, fields)
                photos.append(photo)
                yield piece
    except (asyncio.CancelledError, GeneratorExit):
        await asyncio.shield(_charge(request, key_id, fields.uuid, photos))
        raise
    billing = await _charge(request, key_id, fields.uuid, photos)
    summary = summarise([photo.result for photo in photos])
    yield event("summary", {**summary_fields(summary), "billing": billing})


async def _charge(request: Request, key_id: int, uuid: str | None, photos: Sequence[Photo]) -> Json:
    summary = summarise([photo.result for photo in photos])
    measurement = Measurement(summary.vhs, summary.vlas) if summary.is_billable else None
    return await charge(request, key_id, "session", uuid, measurement)


def _photo_event(index: int, count: int, photo: Photo, fields: PredictFields) -> bytes:
    if photo.error is not None:
        return event("error", {"index": index, "uuid": fields.uuid, "error": photo.error})
    told = photo_fields(photo, fields.render)
    return event("photo", {"index": index, **told, "n_total": count, "model_version": MODEL_VERSION})


class EventStream(Response):
    """Sends each event as soon as there is one, comments in between, and stops the work when the client goes away."""

    media_type = "text/event-stream"

    def __init__(
        self, request: Request, events: AsyncGenerator[bytes, None], heartbeat: float = HEARTBEAT_SECONDS
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._request = request
        self._events = events
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientDisconnected, OSError):  # nobody listens any more
            await run_until_disconnect(self._request, self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events, aclosing(_with_heartbeats(events, self._heartbeat)) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _with_heartbeats(events: AsyncIterator[bytes], seconds: float) -> AsyncGenerator[bytes, None]:
    """The events, and a comment whenever none has come for a while."""
    ending: Any = object()
    while True:
        coming = asyncio.ensure_future(_next(events, ending))
        try:
            while not (await asyncio.wait({coming}, timeout=seconds))[0]:
                yield HEARTBEAT
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        piece = coming.result()
        if piece is ending:
            return
        yield piece


async def _next(events: AsyncIterator[bytes], ending: Any) -> Any:
    return await anext(events, ending)
