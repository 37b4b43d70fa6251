"""Several pictures of one animal: which one counts, and how far they agree."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from imeasure_server.vhs.results import Confidence, ImageResult


@dataclass(frozen=True)
class BatchSummary:
    """What several pictures say together. Scores are in vertebrae and None when no picture gave one.

    Attributes:
        best_index: the picture with a VHS on which the ensemble agrees most, else None.
        vhs: of that picture.
        vlas: of the picture with a VLAS on which the ensemble agrees most; another one when the best has none.
        median_vhs, median_vlas: over the pictures that have one.
        vhs_std, vlas_std: sample standard deviation over them, None for fewer than two.
        vhs_confidence, vlas_confidence: of the picture that the score is from; ``review`` without one.
        processed: pictures in the batch.
        with_landmarks: pictures on which landmarks were found.
    """

    best_index: int | None
    vhs: float | None
    vlas: float | None
    median_vhs: float | None
    median_vlas: float | None
    vhs_std: float | None
    vlas_std: float | None
    vhs_confidence: Confidence
    vlas_confidence: Confidence
    processed: int
    with_landmarks: int

    @property
    def is_billable(self) -> bool:
        """Whether a valid VHS was measured."""
        return self.vhs is not None


def summarise(results: Sequence[ImageResult | None]) -> BatchSummary:
    """What the pictures of a batch say together; None stands for a picture that could not be read or computed."""
    measured = [(index, result) for index, result in enumerate(results) if result is not None and _counts(result)]
    with_vlas = [(index, result) for index, result in measured if result.vlas is not None]
    best = min(measured, key=_disagreement, default=None)
    best_vlas = min(with_vlas, key=_disagreement, default=None)
    vhs = [result.vhs for _, result in measured if result.vhs is not None]
    vlas = [result.vlas for _, result in with_vlas if result.vlas is not None]
    return BatchSummary(
        best_index=None if best is None else best[0],
        vhs=None if best is None else best[1].vhs,
        vlas=None if best_vlas is None else best_vlas[1].vlas,
        median_vhs=_median(vhs),
        median_vlas=_median(vlas),
        vhs_std=_deviation(vhs),
        vlas_std=_deviation(vlas),
        vhs_confidence="review" if best is None else best[1].confidence,
        vlas_confidence="review" if best_vlas is None else best_vlas[1].confidence,
        processed=len(results),
        with_landmarks=sum(result is not None and result.landmarks_detected for result in results),
    )


def _counts(result: ImageResult) -> bool:
    return result.code.is_billable and result.vhs is not None


def _disagreement(entry: tuple[int, ImageResult]) -> tuple[float, int]:
    """Sorts by spread; the earlier picture first where it is the same."""
    index, result = entry
    return (float("inf") if result.spread is None else result.spread, index)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
