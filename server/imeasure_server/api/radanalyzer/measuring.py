"""Has workers measure images: one job for each, so that other people's get their turn between, and a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from imeasure_server.api.errors import log_failed_job
from imeasure_server.api.radanalyzer.answers import Photo
from imeasure_server.api.radanalyzer.errors import (
    InvalidImage,
    PredictionUnavailable,
    ScreensUnavailable,
    TookTooLong,
    error_body,
)
from imeasure_server.api.radanalyzer.images import ImageText, checked_image, image_bytes
from imeasure_server.api.resources import pool_of, settings_of
from imeasure_server.errors import InternalError, ServerBusy
from imeasure_server.imaging.picture_header import PictureError
from imeasure_server.models.jobs import Job, Outcome
from imeasure_server.models.pool import OutOfMemory, PoolClosed, PoolError, QueueFull
from imeasure_server.vhs.jobs import AnalyseImage
from imeasure_server.vhs.models_present import VhsModels, vhs_models

Value = TypeVar("Value")
OutcomeT = TypeVar("OutcomeT", bound=Outcome)

FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0


class Deadline:
    """When a request must have been answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._end - time.monotonic())

    async def within(self, work: Awaitable[Value]) -> Value:
        """Await, but cancel it when the time is over.

        Raises:
            TookTooLong: it is.
        """
        try:
            return await asyncio.wait_for(work, self.left)
        except asyncio.TimeoutError as error:
            raise self.missed from error

    @property
    def missed(self) -> TookTooLong:
        """The error of a request that was not answered in time."""
        return TookTooLong(self._seconds)


def deadline_of(request: Request) -> Deadline:
    """From now on."""
    return Deadline(settings_of(request).request_seconds)


async def models_of(request: Request) -> VhsModels:
    """Which models are there, looked up anew: files come and go while a server runs."""
    return await asyncio.to_thread(vhs_models, settings_of(request).weights)


async def ask_for_prediction(request: Request) -> None:
    """Raises:
    PredictionUnavailable: no model measures.
    """
    if not (await models_of(request)).prediction:
        raise PredictionUnavailable


async def ask_for_screens(request: Request) -> None:
    """Raises:
    ScreensUnavailable: the models for photographs of screens are missing.
    """
    if not (await models_of(request)).pop_pipeline:
        raise ScreensUnavailable


def ask_for_room(request: Request) -> None:
    """For requests that make several jobs, one after another.

    Raises:
        ServerBusy: every place in the queues is taken.
    """
    states = pool_of(request).states()
    if states and all(state.waiting + state.running > state.capacity for state in states):
        raise ServerBusy


async def run_job(request: Request, job: Job[OutcomeT]) -> OutcomeT:
    """Run one job and note its seconds.

    Raises:
        PoolError: the worker or its queue failed.
        InvalidImage: the image turned out to be damaged.
    """
    try:
        outcome = await pool_of(request).submit(job)
    except PictureError as error:
        raise InvalidImage(str(error)) from error
    timings: dict[str, float] = request.state.timings
    for stage, seconds in outcome.timings.items():
        timings[stage] = timings.get(stage, 0.0) + seconds
    return outcome


@dataclass(frozen=True, eq=False)
class Upload:
    """One image of several: its bytes, or why there are none, as a sentence."""

    content: bytes | None
    error: str | None = None


def decode_uploads(texts: list[ImageText]) -> list[Upload]:
    """Take every string out of the list as its bytes are made: both are large.

    Raises:
        ImageTooLarge: one has more bytes than are taken. That is an error of the request, not of an image.
    """
    uploads = []
    texts.reverse()
    while texts:
        try:
            uploads.append(Upload(checked_image(image_bytes(texts.pop()))))
        except InvalidImage as error:
            uploads.append(Upload(None, error.message))
    return uploads


async def measured_photos(
    request: Request, uploads: Sequence[Upload], render: bool, deadline: Deadline
) -> AsyncGenerator[Photo, None]:
    """What comes of each image, in order. The failure of one, or the end of the time, loses none of the others, and
    each waits for a place in the queue; ask `ask_for_room` before the first.

    Raises:
        PoolClosed: the server is stopping.
    """
    for upload in uploads:
        if upload.content is None:
            yield Photo(error=upload.error)
            continue
        try:
            job = AnalyseImage(upload.content, render)
            outcome = await deadline.within(_run_when_there_is_room(request, job))
            photo = Photo(outcome.result)
        except (InvalidImage, TookTooLong) as error:
            photo = Photo(error=error.message)
        except PoolClosed:
            raise
        except PoolError as error:
            log_failed_job(request, error)
            cause = {"cause": str(error)} if isinstance(error, OutOfMemory) else None
            photo = Photo(error=str(error_body(InternalError(cause))["error"]))
        yield photo


async def _run_when_there_is_room(request: Request, job: Job[OutcomeT]) -> OutcomeT:
    """Run a job, and ask again while every place in the queue is taken."""
    pause = FIRST_WAIT
    while True:
        try:
            return await run_job(request, job)
        except QueueFull:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_WAIT)
