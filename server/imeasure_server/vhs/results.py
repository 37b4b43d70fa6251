"""What is known of one picture: the contract's result codes and confidence tiers, without any protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from imeasure_server.vhs.landmarks import FloatArray

Confidence = Literal["optimal", "good", "review"]

OPTIMAL_BELOW, GOOD_BELOW = 0.005, 0.008


class ResultCode(IntEnum):
    """The contract's table of result codes."""

    ABNORMAL = 0
    OPTIMAL = 1
    MODERATE = 2
    LOW_CONFIDENCE = 3
    NO_VLAS = 4
    NOTHING_MEASURED = 5
    REJECTED = 6
    NOT_RECTIFIED = 7

    @property
    def is_billable(self) -> bool:
        """Whether a valid VHS was measured."""
        return 1 <= self <= 4

    @property
    def description(self) -> str:
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    ResultCode.ABNORMAL: "Abnormal result — unexpected prediction state",
    ResultCode.OPTIMAL: "VHS and VLAS predicted successfully with high confidence",
    ResultCode.MODERATE: "VHS and VLAS predicted successfully with moderate confidence",
    ResultCode.LOW_CONFIDENCE: "VHS and VLAS predicted but confidence is low — review recommended",
    ResultCode.NO_VLAS: "VHS predicted successfully, VLAS could not be calculated",
    ResultCode.NOTHING_MEASURED: "Neither VHS nor VLAS could be calculated — check image quality.",
    ResultCode.REJECTED: "Image rejected — not a valid radiograph.",
    ResultCode.NOT_RECTIFIED: "PoP image detected but perspective correction failed",
}


def confidence_of(spread: float | None) -> Confidence:
    """The contract's tier of an ensemble's spread; without a spread there is nothing to rely on."""
    if spread is None or spread >= GOOD_BELOW:
        return "review"
    return "optimal" if spread < OPTIMAL_BELOW else "good"


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What was found in one picture.

    Attributes:
        code: the contract's result code.
        vhs, vlas: in vertebrae, or None.
        landmarks: (7, 2) normalised to the picture that was sent, or None when none were found (codes 5, 6 and 7).
        rectified_landmarks: the same, normalised to the rectified picture; None unless a screen was rectified.
        spread: mean over landmarks of the folds' standard deviation in normalised coordinates, or None.
        axes_perpendicular: whether the heart's axes are at right angles; False without landmarks.
        pop_detected: whether a screen was found in the picture.
        classifier_confidence: probability, 0 to 1, that this is a lateral thoracic radiograph of a dog.
        rendered: PNG with landmarks and scores drawn on it when asked for and landmarks were found, else None.
        rectified: JPEG of the rectified screen when asked for and one was found, else None.
    """

    code: ResultCode
    vhs: float | None = None
    vlas: float | None = None
    landmarks: FloatArray | None = None
    rectified_landmarks: FloatArray | None = None
    spread: float | None = None
    axes_perpendicular: bool = False
    pop_detected: bool = False
    classifier_confidence: float | None = None
    rendered: bytes | None = None
    rectified: bytes | None = None

    @property
    def confidence(self) -> Confidence:
        return confidence_of(self.spread) if self.vhs is not None else "review"

    @property
    def landmarks_detected(self) -> bool:
        return self.landmarks is not None
