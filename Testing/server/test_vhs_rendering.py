"""The annotated picture: what is drawn where, at every size and for every kind of picture and landmark."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import HEART_BOTTOM, HEART_LEFT, HEART_RIGHT, HEART_TOP, VERTEBRA_A, VERTEBRA_B, VLAS
from imeasure_server.vhs.rendering import ATRIUM, LARGEST, LONG_AXIS, SHORT_AXIS, SMALLEST, SPINE, render
from imeasure_server.vhs.score import Score, score_landmarks

FRACTIONS = np.array([[0.52, 0.56], [0.62, 0.80], [0.42, 0.71], [0.65, 0.66], [0.60, 0.60], [0.35, 0.45], [0.60, 0.34]])
"""A heart of 10 vertebrae in a picture of 4 to 3."""

COLOURS = {
    HEART_TOP: LONG_AXIS,
    HEART_BOTTOM: LONG_AXIS,
    HEART_RIGHT: SHORT_AXIS,
    HEART_LEFT: SHORT_AXIS,
    VLAS: ATRIUM,
    VERTEBRA_A: SPINE,
    VERTEBRA_B: SPINE,
}


def radiograph(width: int, height: int | None = None, level: int = 110) -> NDArray[np.uint8]:
    return np.full((height or width * 3 // 4, width), level, np.uint8)


def landmarks(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return FRACTIONS * [picture.shape[1], picture.shape[0]]


def rendered(picture: NDArray[np.uint8], points: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    points = landmarks(picture) if points is None else points
    return render(picture, points, score_landmarks(points), "optimal")


def pixel(picture: NDArray[np.uint8], fraction: NDArray[np.float64]) -> tuple[int, ...]:
    """The colour at a place given as fractions of the picture's width and height."""
    x, y = (fraction * [picture.shape[1], picture.shape[0]]).astype(int)
    return tuple(int(value) for value in picture[y, x])


def share_of_colour(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=2) < 12).mean())


@pytest.mark.parametrize("width", [200, 333, 640, 1500, 2276, 5000])
def test_every_size_becomes_legible(width: int) -> None:
    picture = radiograph(width)

    drawn = rendered(picture)

    assert drawn.dtype == np.uint8
    assert SMALLEST <= max(drawn.shape) <= LARGEST
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx(picture.shape[1] / picture.shape[0], rel=0.01)
    for index, colour in COLOURS.items():
        assert pixel(drawn, FRACTIONS[index]) == pytest.approx(colour, abs=3), index


def test_a_picture_of_middling_size_keeps_its_pixels() -> None:
    picture = radiograph(1500)

    assert rendered(picture).shape == (*picture.shape, 3)


@pytest.mark.parametrize("level", [0, 110, 255])
def test_lines_stand_out_on_black_grey_and_white(level: int) -> None:
    drawn = rendered(radiograph(1200, level=level))

    for start, end in ((HEART_TOP, HEART_BOTTOM), (HEART_RIGHT, HEART_LEFT), (HEART_TOP, VLAS)):
        for part in (0.3, 0.7):
            place = FRACTIONS[start] * (1 - part) + FRACTIONS[end] * part
            assert np.abs(np.array(pixel(drawn, place)) - level).max() > 90, (start, end)


def test_the_heart_stays_visible() -> None:
    picture = radiograph(1400)
    height, width = picture.shape
    points = landmarks(picture)

    changed = (rendered(picture) != 110).any(axis=2)

    rows, columns = np.mgrid[:height, :width]
    inside = np.ones((height, width), bool)
    around = points[[HEART_TOP, HEART_LEFT, HEART_BOTTOM, HEART_RIGHT]]
    for corner, after in zip(around, np.roll(around, -1, axis=0), strict=True):
        side = (after[0] - corner[0]) * (rows - corner[1]) - (after[1] - corner[1]) * (columns - corner[0])
        inside &= side > 0
    assert inside.sum() > 10_000
    assert 0.005 < changed[inside].mean() < 0.12


def test_grey_and_colour_pictures_give_the_same() -> None:
    grey = radiograph(900)
    before = grey.copy()

    assert np.array_equal(rendered(grey), rendered(np.repeat(grey[:, :, None], 3, axis=2)))
    assert np.array_equal(grey, before)


def test_the_callers_picture_is_not_drawn_on() -> None:
    colour = np.repeat(radiograph(1200)[:, :, None], 3, axis=2)
    before = colour.copy()

    rendered(colour)

    assert np.array_equal(colour, before)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("upside_down", [False, True])
def test_axes_are_laid_along_the_spine_away_from_the_heart(mirrored: bool, upside_down: bool) -> None:
    picture = radiograph(1600)
    fractions = np.abs(FRACTIONS - [float(mirrored), float(upside_down)])
    points = fractions * [picture.shape[1], picture.shape[0]]
    score = score_landmarks(points)

    drawn = rendered(picture, points).astype(int)

    vertebra = (points[VERTEBRA_B] - points[VERTEBRA_A]) / 6
    outward = np.array([vertebra[1], -vertebra[0]])
    outward *= -np.sign(outward @ (points[HEART_TOP] - points[VERTEBRA_A]))
    for offset, length, colour in ((0.45, score.long_axis, LONG_AXIS), (0.75, score.short_axis, SHORT_AXIS)):
        for part in (0.2, 0.5, 0.97):
            x, y = points[VERTEBRA_A] + part * length * vertebra + offset * outward
            assert drawn[int(y), int(x)] == pytest.approx(colour, abs=30), (offset, part)
        x, y = points[VERTEBRA_A] + (length + 0.25) * vertebra + offset * outward
        assert np.abs(drawn[int(y), int(x)] - colour).max() > 60, "longer than the axis"


def test_every_vertebra_has_a_tick_and_the_scale_goes_on_for_a_large_heart() -> None:
    picture = radiograph(1600)
    points = landmarks(picture)
    points[HEART_BOTTOM] = points[HEART_TOP] + 1.55 * (points[HEART_BOTTOM] - points[HEART_TOP])
    score = score_landmarks(points)
    assert 7 < score.long_axis < 8

    drawn = rendered(picture, points).astype(int)

    vertebra = (points[VERTEBRA_B] - points[VERTEBRA_A]) / 6
    across = np.array([vertebra[1], -vertebra[0]])
    for tick in range(9):
        x, y = points[VERTEBRA_A] + tick * vertebra + 0.14 * across
        around = drawn[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3)
        assert np.abs(around - SPINE).max(axis=1).min() < 40, tick


def test_the_number_of_vertebrae_moves_the_ticks() -> None:
    picture = radiograph(1600)
    points = landmarks(picture)

    six, five = (render(picture, points, score_landmarks(points, vertebrae=n), "good", n) for n in (6, 5))

    assert (six != five).any()


def test_the_panel_shows_scores_and_confidence() -> None:
    picture = radiograph(1600)
    points = landmarks(picture)
    score = score_landmarks(points)
    other = Score(score.vhs, None, score.long_axis, score.short_axis, True)

    optimal, good, review = (render(picture, points, score, tier) for tier in ("optimal", "good", "review"))

    assert (optimal != good).any()
    assert (good != review).any()
    assert (render(picture, points, other, "optimal") != optimal).any()
    changed = (optimal != good).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) < 0.35 * picture.shape[0], "only the panel differs"
    assert np.ptp(columns) < 0.35 * picture.shape[1]


def test_the_panel_stands_on_the_background_when_there_is_one() -> None:
    picture = radiograph(1600)
    picture[:, 1100:] = 5  # the right side is empty

    changed = (rendered(picture) != np.repeat(picture[:, :, None], 3, axis=2)).any(axis=2)

    assert changed[:, 1250:].mean() > 0.02, "the letters are here"
    assert not changed[:, :300].any()


def test_where_no_corner_is_free_the_panel_gets_a_strip() -> None:
    picture = radiograph(1200, 1200)
    heart = [[0.03, 0.1], [0.97, 0.97], [0.03, 0.97], [0.97, 0.1]]
    points = np.array([*heart, [0.5, 0.3], [0.02, 0.02], [0.98, 0.03]]) * 1200

    drawn = rendered(picture, points)

    assert drawn.shape[0] > 1200
    assert drawn.shape[1] == 1200
    assert (drawn[1200:] > 200).any(), "the letters are in the strip"


@pytest.mark.parametrize("size", [(60, 2000), (2000, 60), (1, 1), (3, 4000)])
def test_odd_proportions(size: tuple[int, int]) -> None:
    drawn = rendered(radiograph(*size))

    assert drawn.ndim == 3
    assert drawn.size > 0


def test_an_impossible_heart_is_drawn_and_said() -> None:
    picture = radiograph(1600)
    points = landmarks(picture)
    points[HEART_TOP] = points[HEART_BOTTOM] + [30, 30]
    score = score_landmarks(points)
    assert score.vhs is None

    drawn = render(picture, points, score, "review")

    assert pixel(drawn, FRACTIONS[HEART_LEFT]) == pytest.approx(SHORT_AXIS, abs=3)
    assert (drawn > 240).all(axis=2).any(), "white letters"


@pytest.mark.parametrize("where", [[-500.0, 300.0], [1e9, -1e9], [1e300, 0.0], [1600.0, 1200.0]])
@pytest.mark.parametrize("index", [HEART_TOP, VLAS, VERTEBRA_B])
def test_landmarks_outside_of_the_picture(index: int, where: list[float]) -> None:
    picture = radiograph(1600)
    points = landmarks(picture)
    points[index] = where

    drawn = rendered(picture, points)

    assert drawn.shape == (*picture.shape, 3) or drawn.shape[0] > picture.shape[0]
    assert pixel(drawn[:1200], FRACTIONS[HEART_LEFT]) == pytest.approx(SHORT_AXIS, abs=3)


def test_one_vertebral_point_has_no_scale() -> None:
    picture = radiograph(1600)
    points = landmarks(picture)
    points[VERTEBRA_B] = points[VERTEBRA_A]

    assert pixel(rendered(picture, points), FRACTIONS[VERTEBRA_A]) == pytest.approx(SPINE, abs=3)


@pytest.mark.parametrize("points", [np.zeros((6, 2)), np.full((7, 2), np.nan)])
def test_what_are_no_landmarks(points: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="seven finite points"):
        render(radiograph(800), points, Score(None, None, 1.0, 1.0, False), "review")
