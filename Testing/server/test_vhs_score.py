"""VHS and VLAS from landmarks, against values worked out by hand and against a drawing on a ruler."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imeasure_server.vhs.landmarks import LANDMARK_NAMES, in_pixels, normalised
from imeasure_server.vhs.score import Implausibility, score_landmarks

UNIT = 40.0
"""Pixels per vertebra in the drawing below."""


def drawing() -> np.ndarray:
    """A heart of 5.5 by 4.5 vertebrae under six vertebrae of 40 pixels; VLAS 2.5."""
    return np.array(
        [
            [300.0, 200.0],  # heart_top
            [300.0, 420.0],  # heart_bottom
            [210.0, 300.0],  # heart_right
            [390.0, 300.0],  # heart_left
            [360.0, 280.0],  # VLAS: 60, 80, 100
            [200.0, 100.0],  # Vertebra A
            [440.0, 100.0],  # Vertebra B
        ]
    )


def test_a_drawing_measured_by_hand() -> None:
    score = score_landmarks(drawing(), (700, 500))
    assert score.vhs == pytest.approx(10.0)
    assert (score.long_axis, score.short_axis) == (pytest.approx(5.5), pytest.approx(4.5))
    assert score.vlas == pytest.approx(2.5)
    assert score.axes_perpendicular
    assert score.implausibility is None


def test_the_contract_s_landmarks_are_too_large_a_heart_for_their_spine() -> None:
    """The example's own VHS of 10.4 fits its landmarks in no shape of image: in a square one they would make 19."""
    fractions = [[0.42, 0.15], [0.41, 0.44], [0.25, 0.30], [0.57, 0.29], [0.49, 0.40], [0.36, 0.12], [0.55, 0.12]]
    score = score_landmarks(in_pixels(np.array(fractions), 1000, 1000), (1000, 1000))
    unit = 190 / 6
    assert score.long_axis == pytest.approx(math.hypot(10, 290) / unit)
    assert score.short_axis == pytest.approx(math.hypot(320, 10) / unit)
    assert score.implausibility is Implausibility.OUT_OF_RANGE
    assert score.vhs is None


@pytest.mark.parametrize("vertebrae", [4, 5, 6, 6.5, 8])
def test_the_number_of_vertebrae_scales_everything(vertebrae: float) -> None:
    score = score_landmarks(drawing(), vertebrae=vertebrae)
    assert score.vhs == pytest.approx(10 * vertebrae / 6)
    assert score.vlas == pytest.approx(2.5 * vertebrae / 6)


def test_turning_mirroring_moving_and_scaling_change_nothing() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        angle, scale = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 5)
        turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        if rng.random() < 0.5:
            turn = turn @ np.diag([-1, 1])
        score = score_landmarks(drawing() @ turn.T + rng.normal(0, 1000, 2))
        assert score.vhs == pytest.approx(10.0)
        assert score.vlas == pytest.approx(2.5)
        assert score.axes_perpendicular


def test_lengths_are_those_of_pixels_and_not_of_fractions() -> None:
    """On an image twice as wide as high, fractions would give another score."""
    points = drawing()
    fractions = normalised(points, 1000, 500)
    assert score_landmarks(in_pixels(fractions, 1000, 500)).vhs == pytest.approx(10.0)
    assert score_landmarks(fractions).vhs != pytest.approx(10.0, abs=0.5)


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, True), (9, True), (-9, True), (11, False), (-11, False), (40, False)]
)
def test_when_axes_are_perpendicular(degrees: float, expected: bool) -> None:
    points = drawing()
    angle = math.radians(degrees)
    points[2] = [300 - 90 * math.cos(angle), 300 - 90 * math.sin(angle)]
    points[3] = [300 + 90 * math.cos(angle), 300 + 90 * math.sin(angle)]
    assert score_landmarks(points).axes_perpendicular is expected


def changed(name: str, x: float, y: float) -> np.ndarray:
    points = drawing()
    points[LANDMARK_NAMES.index(name)] = x, y
    return points


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (changed("heart_bottom", 300, 260), Implausibility.AXES_DO_NOT_CROSS),
        (changed("heart_left", 250, 300), Implausibility.AXES_DO_NOT_CROSS),
        (changed("heart_top", 300, 60), Implausibility.AXIS_CROSSES_SPINE),
        (changed("heart_left", 720, 300), Implausibility.OUTSIDE),
        (changed("heart_bottom", 300, -1), Implausibility.OUTSIDE),
        (changed("Vertebra B", 230, 100), Implausibility.SHORT_SPINE),
        (changed("Vertebra B", 200, 100), Implausibility.SHORT_SPINE),
        (changed("Vertebra B", 290, 100), Implausibility.OUT_OF_RANGE),
        (changed("Vertebra B", 690, 100), Implausibility.OUT_OF_RANGE),
    ],
)
def test_impossible_geometry_is_never_a_number(points: np.ndarray, why: Implausibility) -> None:
    score = score_landmarks(points, (700, 500))
    assert score.implausibility is why
    assert score.vhs is None
    assert score.vlas is None


@pytest.mark.parametrize(("x", "y"), [(301.0, 202.0), (300.0, 480.0)])
def test_an_implausible_vlas_leaves_the_vhs(x: float, y: float) -> None:
    score = score_landmarks(changed("VLAS", x, y), (700, 500))
    assert score.vhs == pytest.approx(10.0)
    assert score.vlas is None


@pytest.mark.parametrize("points", [np.zeros((6, 2)), np.full((7, 2), np.nan), np.zeros((7, 3))])
def test_what_is_no_set_of_landmarks_is_an_error(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="seven finite points"):
        score_landmarks(points)


def test_no_vertebrae_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        score_landmarks(drawing(), vertebrae=0)
