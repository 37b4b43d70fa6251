"""``POST /v3/pop-session/start`` and ``/v3/pop-session``: photographs of a screen until three of them agree."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from imeasure_server.api.access import require_customer
from imeasure_server.api.disconnect import run_until_disconnect
from imeasure_server.api.radanalyzer.accounts import charge, now
from imeasure_server.api.radanalyzer.answers import (
    complete_answer,
    continue_answer,
    failed_answer,
    ready_answer,
)
from imeasure_server.api.radanalyzer.errors import SessionBusy, SessionEnded, UnknownSession
from imeasure_server.api.radanalyzer.fields import FrameFields, frame_fields, only_image, read_body
from imeasure_server.api.radanalyzer.measuring import ask_for_screens, deadline_of, models_of, run_job
from imeasure_server.api.radanalyzer.openapi import frame_docs, start_docs
from imeasure_server.api.radanalyzer.replies import json_answer
from imeasure_server.api.resources import store_of
from imeasure_server.store.database import StoreUnavailable
from imeasure_server.store.keys import KeyInfo
from imeasure_server.store.pop_sessions import LEASE, Claim, ClaimLost, FrameRecord, PopSession, Refusal, Why
from imeasure_server.store.usage import Measurement
from imeasure_server.vhs.capture import GoodFrame, best_frame, is_good
from imeasure_server.vhs.jobs import AnalyseImage, DrawLandmarks
from imeasure_server.vhs.results import ImageResult

KEEP_SECONDS = LEASE.total_seconds() / 3
POLL_SECONDS = 0.2

router = APIRouter()
Customer = Annotated[KeyInfo, Depends(require_customer)]


@router.post("/pop-session/start", summary="Start a session of photographs of a screen", **start_docs())
async def start(request: Request, customer: Customer) -> Response:
    """Free. The session lives for ``session_ttl_seconds``, also through a restart of the server."""
    await ask_for_screens(request)
    await deadline_of(request).within(read_body(request, images=0))
    sessions, models = store_of(request).sessions, await models_of(request)
    session = await asyncio.to_thread(sessions.start, customer.id, now())
    return await json_answer(lambda: ready_answer(session, sessions.limits.ttl_seconds, models))


@router.post("/pop-session", summary="Send a photograph to a session", **frame_docs())
async def frame(request: Request, customer: Customer) -> Response:
    """Complete when three good frames agree; the best of them is answered, and charged once at the session rate.
    Frames of one session are worked on one after another.
    """
    await ask_for_screens(request)
    deadline = deadline_of(request)
    body = await deadline.within(read_body(request))
    fields, content = frame_fields(body), await only_image(body)
    del body
    work = _Frame(request, customer, fields, content).answered()
    answer = await deadline.within(run_until_disconnect(request, work))
    return await json_answer(lambda: answer)


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame on its way through a session."""

    request: Request
    customer: KeyInfo
    fields: FrameFields
    content: bytes

    async def answered(self) -> dict[str, Any]:
        """Raises:
        ApiError: the session takes no frames.
        PoolError, StoreUnavailable: nothing was recorded; the client can send the frame again.
        """
        claim = await self._claim()
        if isinstance(claim, Refusal):
            if claim.why is Why.UNKNOWN or claim.session is None:
                raise UnknownSession
            if claim.why is Why.ENDED:
                raise SessionEnded(claim.session.state)
            return failed_answer(claim.session, await self._billing(claim.session, None))
        async with self._held(claim):
            return await self._measured(claim)

    async def _claim(self) -> Claim | Refusal:
        """The right to work on the next frame, waited for while another frame is worked on."""
        sessions = store_of(self.request).sessions
        while True:
            claim = await asyncio.to_thread(sessions.begin_frame, self.fields.session_id, self.customer.id, now())
            if isinstance(claim, Claim) or claim.why is not Why.BUSY:
                return claim
            await asyncio.sleep(POLL_SECONDS)

    @contextlib.asynccontextmanager
    async def _held(self, claim: Claim) -> AsyncIterator[None]:
        """Keep the claim while the frame is worked on, and let it go when that fails."""
        sessions = store_of(self.request).sessions

        async def keep() -> None:
            with contextlib.suppress(ClaimLost, StoreUnavailable):  # then recording the frame fails
                while True:
                    await asyncio.sleep(KEEP_SECONDS)
                    await asyncio.to_thread(sessions.keep, claim, now())

        keeping = asyncio.ensure_future(keep())
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(StoreUnavailable):  # the claim runs out by itself
                await asyncio.shield(asyncio.to_thread(sessions.release, claim))
            if isinstance(error, ClaimLost):
                raise SessionBusy from error
            raise
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _measured(self, claim: Claim) -> dict[str, Any]:
        """Measure the frame, and say what that means for the session."""
        outcome = await run_job(self.request, AnalyseImage(self.content, want_rectified=True))
        record = record_of(outcome.result, self.content)
        best = best_frame(good_frames((*claim.session.frames, record)))
        sessions = store_of(self.request).sessions
        if best is not None:
            return await self._completed(claim, record, best.index)
        session = await asyncio.to_thread(sessions.end_frame, claim, record)
        if session.state == "failed":
            return failed_answer(session, await self._billing(session, None))
        return continue_answer(session, outcome.result)

    async def _completed(self, claim: Claim, record: FrameRecord, best: int) -> dict[str, Any]:
        """Draw, charge, then record: when the server dies in between, nothing is charged twice."""
        sessions = store_of(self.request).sessions
        if best == claim.frame_index:
            chosen, rectified = record, record.rectified
        else:
            chosen = claim.session.frames[best]
            rectified = await asyncio.to_thread(sessions.rectified, claim.session, best)
        assert rectified is not None, "good frames keep their picture"
        points = np.array(chosen.result["landmarks"], float)
        drawn = await run_job(self.request, DrawLandmarks(rectified, points, chosen.result["confidence"]))
        billing = await self._billing(claim.session, Measurement(chosen.vhs, chosen.vlas))
        session = await asyncio.to_thread(sessions.end_frame, claim, record, best)
        return complete_answer(session, chosen, points, rectified, drawn.png, billing)

    async def _billing(self, session: PopSession, measurement: Measurement | None) -> dict[str, Any]:
        return await charge(self.request, self.customer.id, "session", self.fields.uuid, measurement, session.reference)


def record_of(result: ImageResult, content: bytes) -> FrameRecord:
    """What is remembered of a frame. A frame in which no screen was found, and which yet shows a radiograph (the screen
    fills it), is its own rectified picture.
    """
    good = is_good(result)
    points = result.rectified_landmarks if result.rectified is not None else result.landmarks
    return FrameRecord(
        good=good,
        vhs=result.vhs,
        vlas=result.vlas,
        spread=result.spread,
        result={
            "code": int(result.code),
            "confidence": result.confidence,
            "landmarks": None if points is None else points.tolist(),
        },
        rectified=(result.rectified if result.rectified is not None else content) if good else None,
    )


def good_frames(frames: tuple[FrameRecord, ...]) -> list[GoodFrame]:
    """Those that count."""
    return [
        GoodFrame(index, record.vhs, record.spread)
        for index, record in enumerate(frames)
        if record.good and record.vhs is not None and record.spread is not None
    ]
