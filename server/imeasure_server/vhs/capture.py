"""When a session of screen photographs has seen enough: the rules, without pictures, protocol or database.

A frame is good when it gives a VHS on which the ensemble agrees. The session is complete when three good frames agree
with each other: a photograph can be measured wrongly with confidence, but hardly three times in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from imeasure_server.vhs.results import ImageResult, ResultCode

MAX_FRAMES = 20
MAX_CONSECUTIVE_FAILURES = 5
TTL_SECONDS = 300
FRAMES_NEEDED = 3
AGREE_WITHIN = 0.5
"""Vertebrae between the highest and the lowest VHS of frames that agree; vets differ by as much from each other."""

CaptureError: TypeAlias = Literal["max_frames_exceeded", "max_consecutive_failures_exceeded", "session_timeout"]


@dataclass(frozen=True)
class GoodFrame:
    """A frame that counts: its number in the session from 0, its VHS in vertebrae, the ensemble's spread."""

    index: int
    vhs: float
    spread: float


@dataclass(frozen=True)
class CaptureState:
    """What a session remembers.

    Attributes:
        frames: seen so far.
        failures: frames since the last good one.
        good: frames that count, oldest first.
    """

    frames: int = 0
    failures: int = 0
    good: tuple[GoodFrame, ...] = ()

    def after(self, result: ImageResult) -> CaptureState:
        """The state when one more frame has been seen."""
        seen = replace(self, frames=self.frames + 1)
        if not is_good(result):
            return replace(seen, failures=self.failures + 1)
        assert result.vhs is not None
        assert result.spread is not None
        return replace(seen, failures=0, good=(*self.good, GoodFrame(self.frames, result.vhs, result.spread)))

    @property
    def best(self) -> GoodFrame | None:
        """Of the frames that agree, the one on which the ensemble agrees most; None while too few agree."""
        agreeing = frames_that_agree(self.good)
        return min(agreeing, key=lambda frame: (frame.spread, frame.index), default=None)

    @property
    def error(self) -> CaptureError | None:
        """Why no more frames are taken, None while they are. Asked when the session is not complete."""
        if self.frames >= MAX_FRAMES:
            return "max_frames_exceeded"
        return "max_consecutive_failures_exceeded" if self.failures >= MAX_CONSECUTIVE_FAILURES else None

    @property
    def reason(self) -> str:
        """Why the session goes on, in the words of the contract."""
        counted = f"{len(self.good)}/{FRAMES_NEEDED} good frames so far"
        if len(self.good) < FRAMES_NEEDED:
            return f"{counted}, need more"
        return f"{counted}, but they differ by more than {AGREE_WITHIN:g} vertebrae, need more"


def is_good(result: ImageResult) -> bool:
    """Whether a frame counts."""
    return result.code.is_billable and result.vhs is not None and result.confidence != "review"


def frames_that_agree(frames: Sequence[GoodFrame]) -> tuple[GoodFrame, ...]:
    """The largest group of frames within `AGREE_WITHIN` of each other, of equal ones that with the smallest spreads;
    empty when it would have fewer than `FRAMES_NEEDED`.
    """
    ordered = sorted(frames, key=lambda frame: frame.vhs)
    groups = [
        tuple(frame for frame in ordered[start:] if frame.vhs - first.vhs <= AGREE_WITHIN)
        for start, first in enumerate(ordered)
    ]
    groups = [group for group in groups if len(group) >= FRAMES_NEEDED]
    return min(groups, key=lambda group: (-len(group), sum(frame.spread for frame in group)), default=())


def advice(result: ImageResult) -> str:
    """What to do for a better frame, as a sentence for the person who holds the camera."""
    if is_good(result):
        return "Good. Hold the camera still for the next frame."
    match result.code:
        case ResultCode.REJECTED:
            return "No lateral thoracic radiograph was recognised: show the whole picture, and nothing else, upright."
        case ResultCode.NOT_RECTIFIED:
            return "A screen was seen, but not all of it: get its four corners into view and hold the camera straight."
        case ResultCode.NOTHING_MEASURED | ResultCode.ABNORMAL:
            return "Heart and spine were not recognised: avoid reflections and blur, and come closer."
        case _:
            return "The models are not sure: avoid reflections and blur, and hold the camera straighter."
