"""The model's answer and the landmarks as they are now, side by side: neither ever replaces the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .answers import Answer
from .landmarks import LANDMARK_NAMES, TEMPLATE, Points
from .score import VERTEBRAE, Score, scoreLandmarks

MOVED_BY = 1e-4
"""A landmark was moved when it is further than this from where it began, in fractions of the picture."""

ANSWERS_ROUNDED_BY = 0.006
"""Scores come with two decimals."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What is known of one picture.

    Attributes:
        answer: the model's, untouched; None when nobody asked a model.
        points: landmarks as they are now, as fractions of the picture; None when there are none.
        score: of those, None when there are none or not all were placed.
        moved: names of the landmarks that a person moved, in order.
        vertebrae: how many A–B spans.
        sizeMM: width and height of the picture in mm.
    """

    answer: Answer | None
    points: Points | None
    score: Score | None
    moved: tuple[str, ...]
    vertebrae: float
    sizeMM: tuple[float, float]

    @property
    def isEdited(self) -> bool:
        """Whether a person has a part in the present landmarks."""
        return bool(self.moved)

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Landmarks that nobody has placed yet: where no model said where they are, each is to be moved once."""
        if self.points is None or (self.answer is not None and self.answer.points is not None):
            return ()
        return tuple(name for name in LANDMARK_NAMES if name not in self.moved)


def measure(
    answer: Answer | None, points: Points | None, sizeMM: tuple[float, float], vertebrae: float = VERTEBRAE
) -> Measurement:
    """Compare and score.

    Args:
        points: as fractions of the picture.
        sizeMM: of the picture; its pixels need not be square.
    """
    moved = movedLandmarks(answer, points)
    measured = Measurement(answer, points, None, moved, vertebrae, sizeMM)
    if points is None or measured.unplaced:
        return measured
    size = np.array(sizeMM)
    score = scoreLandmarks(points * size, (float(size[0]), float(size[1])), vertebrae)
    trusted = _asRounded(_asFarAsTrusted(score, answer, moved), answer)
    return Measurement(answer, points, trusted, moved, vertebrae, sizeMM)


def _asFarAsTrusted(score: Score, answer: Answer | None, moved: tuple[str, ...]) -> Score:
    """Without what the model itself would not measure by its landmarks, until a person has moved those."""
    if answer is None or answer.points is None:
        return score
    if answer.vhs is None and not moved:
        return replace(score, vhs=None, vlas=None)
    if answer.vlas is None and not {"heart_top", "VLAS"} & set(moved):
        return replace(score, vlas=None)
    return score


def _asRounded(score: Score, answer: Answer | None) -> Score:
    """The model's own numbers where they are these but for its rounding: 9.05 and 9.049 must not read 9.1 and 9.0."""

    def settled(value: float | None, said: float | None) -> float | None:
        return said if value is not None and said is not None and abs(value - said) <= ANSWERS_ROUNDED_BY else value

    if answer is None:
        return score
    return replace(score, vhs=settled(score.vhs, answer.vhs), vlas=settled(score.vlas, answer.vlas))


def movedLandmarks(answer: Answer | None, points: Points | None) -> tuple[str, ...]:
    """Names of the landmarks that are not where the model, or else the template, put them."""
    if points is None:
        return ()
    start = answer.points if answer is not None and answer.points is not None else TEMPLATE
    away = np.abs(points - start).max(axis=1) > MOVED_BY
    return tuple(name for name, isAway in zip(LANDMARK_NAMES, away) if isAway)


def decimals(value: float | None, digits: int = 1) -> str:
    """A number for a table, "–" where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
