"""Result codes from what the folds see: each reached, none with a made-up number."""

from __future__ import annotations

import numpy as np
import pytest

from imeasure_server.vhs.analysis import measure
from imeasure_server.vhs.ensemble import EnsemblePrediction
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, VLAS
from imeasure_server.vhs.results import GOOD_BELOW, OPTIMAL_BELOW, ResultCode, confidence_of

WIDTH, HEIGHT = 700, 500
HEART = np.array([[300.0, 200], [300, 420], [210, 300], [390, 300], [360, 280], [200, 100], [440, 100]])
"""VHS 10.0 and VLAS 2.5; see test_vhs_score."""


def prediction(
    points: np.ndarray = HEART, spread: float = 0.001, seen: dict[str, float] | None = None, atrium: float | None = None
) -> EnsemblePrediction:
    """Five folds that scatter about ``points`` with exactly that spread (normalised)."""
    offsets = np.array([-2.0, -1, 0, 1, 2]) / np.sqrt(2.5)  # standard deviation 1
    deviation = np.full(7, spread)
    if atrium is not None:
        deviation[VLAS] = atrium
    by_fold = points + offsets[:, None, None] * deviation[None, :, None] * np.array([WIDTH, HEIGHT])
    shares = np.array([(seen or {}).get(name, 0.9) for name in LANDMARK_NAMES])
    return EnsemblePrediction(by_fold.mean(axis=0), by_fold, np.linspace(points[5], points[6], 7)[1:6], shares, 0)


@pytest.mark.parametrize(
    ("spread", "code", "confidence"),
    [
        (0.001, ResultCode.OPTIMAL, "optimal"),
        (0.0049, ResultCode.OPTIMAL, "optimal"),
        (0.0051, ResultCode.MODERATE, "good"),
        (0.0079, ResultCode.MODERATE, "good"),
        (0.0081, ResultCode.LOW_CONFIDENCE, "review"),
    ],
)
def test_the_spread_decides_among_the_first_three_codes(spread: float, code: ResultCode, confidence: str) -> None:
    measured = measure(prediction(spread=spread), WIDTH, HEIGHT)
    assert measured.code is code
    assert measured.spread == pytest.approx(spread)
    assert confidence_of(measured.spread) == confidence
    assert measured.score is not None
    assert measured.score.vhs == pytest.approx(10.0)
    assert measured.score.vlas == pytest.approx(2.5)


def test_the_thresholds_are_the_contract_s() -> None:
    assert (OPTIMAL_BELOW, GOOD_BELOW) == (0.005, 0.008)
    assert [confidence_of(value) for value in (None, 0.0, 0.005, 0.008)] == ["review", "optimal", "good", "review"]


@pytest.mark.parametrize("case", [{"seen": {"VLAS": 0.01}}, {"atrium": 0.03}])
def test_without_the_atrium_there_is_a_vhs_alone(case: dict[str, object]) -> None:
    measured = measure(prediction(**case), WIDTH, HEIGHT)  # type: ignore[arg-type]
    assert measured.code is ResultCode.NO_VLAS
    assert measured.score is not None
    assert measured.score.vhs == pytest.approx(10.0)
    assert measured.score.vlas is None


@pytest.mark.parametrize("name", [name for name in LANDMARK_NAMES if name != "VLAS"])
def test_a_landmark_that_is_not_seen_leaves_nothing(name: str) -> None:
    measured = measure(prediction(seen={name: 0.01}), WIDTH, HEIGHT)
    assert measured.code is ResultCode.NOTHING_MEASURED
    assert measured.points is None
    assert measured.score is None


def test_landmarks_outside_the_image_leave_nothing() -> None:
    assert measure(prediction(HEART + np.array([320, 0])), WIDTH, HEIGHT).code is ResultCode.NOTHING_MEASURED


def test_a_spine_that_is_too_short_leaves_nothing() -> None:
    assert measure(prediction(HEART * 0.15 + 200), WIDTH, HEIGHT).code is ResultCode.NOTHING_MEASURED


def test_impossible_geometry_is_abnormal_and_no_number() -> None:
    crossed = HEART.copy()
    crossed[1] = [300, 250]
    measured = measure(prediction(crossed), WIDTH, HEIGHT)
    assert measured.code is ResultCode.ABNORMAL
    assert measured.score is not None
    assert measured.score.vhs is None
    assert measured.score.vlas is None
    assert not measured.code.is_billable


def test_only_codes_one_to_four_are_billable() -> None:
    assert [code.is_billable for code in ResultCode] == [False, True, True, True, True, False, False, False]
