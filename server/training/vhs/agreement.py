"""How far measurements agree with the truth: errors, intraclass correlation, classes, and what confidence is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imeasure_server.vhs.landmarks import LANDMARK_NAMES, VERTEBRA_A, VERTEBRA_B
from imeasure_server.vhs.results import Confidence
from imeasure_server.vhs.score import VERTEBRAE
from vhs.attenuation import FloatArray

CLASS_LIMITS = (8.2, 10.0)
"""VHS below, between and above: the classes of the public six-point data set."""
TIERS: tuple[Confidence, ...] = ("optimal", "good", "review")


@dataclass(frozen=True, eq=False)
class Case:
    """One radiograph measured.

    Attributes:
        truth, found: (7, 2) pixels; NaN where not marked; ``found`` is None when nothing was measured.
        diagonal: of the picture in pixels.
        vhs, vlas: (true, found); found is None when there was no number, true is None when it is not known.
        spread: of the ensemble, or None.
        confidence: its tier.
    """

    truth: FloatArray
    found: FloatArray | None
    diagonal: float
    vhs: tuple[float, float | None]
    vlas: tuple[float | None, float | None]
    spread: float | None
    confidence: Confidence


def intraclass_correlation(values: FloatArray) -> float:
    """ICC(A,1): two-way, absolute agreement, single measurement (McGraw and Wong, Psychol Methods 1 (1996) 30).

    Args:
        values: (n, k) of n subjects by k raters.
    """
    n, k = values.shape
    mean = values.mean()
    rows = k * ((values.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    columns = n * ((values.mean(axis=0) - mean) ** 2).sum() / (k - 1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + mean
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    return float((rows - error) / (rows + (k - 1) * error + k * (columns - error) / n))


def summary(cases: Sequence[Case]) -> dict[str, float]:
    """The figures of the tables, by their names."""
    measured = [case for case in cases if case.vhs[1] is not None and case.found is not None]
    if len(measured) < 2:
        raise ValueError("Fewer than two cases were measured: there is nothing to summarise.")
    figures = {"cases": float(len(cases)), "measured": len(measured) / len(cases)}
    figures |= _landmark_errors(measured)
    true, found = (np.array([float(case.vhs[side] or 0) for case in measured]) for side in (0, 1))
    figures |= _errors("VHS", true, found)
    figures["VHS class accuracy"] = float((np.digitize(true, CLASS_LIMITS) == np.digitize(found, CLASS_LIMITS)).mean())
    with_vlas = [case.vlas for case in measured if case.vlas[0] is not None and case.vlas[1] is not None]
    if len(with_vlas) > 1:
        pairs = np.array(with_vlas, float)
        figures |= _errors("VLAS", pairs[:, 0], pairs[:, 1])
    return figures | _tiers(measured)


def _errors(name: str, true: FloatArray, found: FloatArray) -> dict[str, float]:
    error = found - true
    return {
        f"{name} mean absolute error": float(np.abs(error).mean()),
        f"{name} bias": float(error.mean()),
        f"{name} 95 % of errors below": float(np.percentile(np.abs(error), 95)),
        f"{name} ICC(A,1)": intraclass_correlation(np.column_stack([true, found])),
    }


def _landmark_errors(cases: Sequence[Case]) -> dict[str, float]:
    by_diagonal, by_unit = [], []
    for case in cases:
        assert case.found is not None
        distance = np.hypot(*(case.found - case.truth).T)
        unit = np.hypot(*(case.truth[VERTEBRA_B] - case.truth[VERTEBRA_A])) / VERTEBRAE
        by_diagonal.append(100 * distance / case.diagonal)
        by_unit.append(distance / unit)
    figures = {
        "landmark error, % of the diagonal": float(np.nanmean(by_diagonal)),
        "landmark error, vertebrae": float(np.nanmean(by_unit)),
    }
    for index, name in enumerate(LANDMARK_NAMES):
        column = np.array(by_unit)[:, index]
        if not np.isnan(column).all():
            figures[f"{name}, vertebrae"] = float(np.nanmean(column))
    return figures


def _tiers(cases: Sequence[Case]) -> dict[str, float]:
    figures = {}
    for tier in TIERS:
        errors = np.array([abs(float(case.vhs[1] or 0) - case.vhs[0]) for case in cases if case.confidence == tier])
        figures[f"{tier}, share"] = len(errors) / len(cases)
        if len(errors):
            figures[f"{tier}, VHS mean absolute error"] = float(errors.mean())
            figures[f"{tier}, VHS within 0.5"] = float((errors <= 0.5).mean())
    return figures
