"""When a session of screen photographs has seen enough: the rules, without pictures, protocol or database.

A frame is good when it gives a VHS on which the ensemble agrees. The session is complete when three good frames agree
with each other: a photograph can be measured wrongly with confidence, but hardly three times in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imeasure_server.vhs.results import ImageResult, ResultCode

FRAMES_NEEDED = 3
AGREE_WITHIN = 0.5
"""Vertebrae between the highest and the lowest VHS of frames that agree; vets differ by as much from each other."""


@dataclass(frozen=True)
class GoodFrame:
    """A frame that counts: its number in the session from 0, its VHS in vertebrae, the ensemble's spread."""

    index: int
    vhs: float
    spread: float


def is_good(result: ImageResult) -> bool:
    """Whether a frame counts."""
    return result.code.is_billable and result.vhs is not None and result.confidence != "review"


def best_frame(frames: Sequence[GoodFrame]) -> GoodFrame | None:
    """Of the frames that agree, the one on which the ensemble agrees most; None while too few agree."""
    return min(frames_that_agree(frames), key=lambda frame: (frame.spread, frame.index), default=None)


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


def why_more(good_frames: int) -> str:
    """Why a session goes on, in the words of the contract."""
    counted = f"{good_frames}/{FRAMES_NEEDED} good frames so far"
    if good_frames < FRAMES_NEEDED:
        return f"{counted}, need more"
    return f"{counted}, but no {FRAMES_NEEDED} of them are within {AGREE_WITHIN:g} vertebrae, need more"


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
