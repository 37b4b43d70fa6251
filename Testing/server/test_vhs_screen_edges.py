"""Sub-pixel edges on simulated photographs, and the degradation of flat radiographs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from vhs_screen.camera import Pose, screen_corners, take
from vhs_screen.degradation import degrade, jpeg
from vhs_screen.radiographs import draw_radiograph, varied
from vhs_screen.simulator import Photo, photograph

from imeasure_server.vhs.screen.edges import refine_corners


def simulated(seed: int, size: tuple[int, int] = (1200, 900)) -> Photo:
    rng = np.random.default_rng([41, seed])
    return photograph(varied(draw_radiograph(rng), rng), rng, size)


def plain_screen(aspect: float, bend: float = 0.0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A grey screen with a dark frame on a wall, in linear light, unsharp by a pixel; and its corners."""
    camera = take(Pose(66, 22, -14, 5, 0.75, (0.2, -0.3)), aspect, 2400, 1800, bend)
    x, y = camera.plane_of_pixels()
    light = np.where((x > -0.06) & (x < aspect + 0.06) & (y > -0.06) & (y < 1.06), 0.02, 0.3)
    light = np.where((x > 0) & (x < aspect) & (y > 0) & (y < 1), 0.5, light).astype(np.float32)
    small = cv2.resize(cv2.GaussianBlur(light, (0, 0), 2), (1200, 900), interpolation=cv2.INTER_AREA)
    return (255 * small ** (1 / 2.2)).astype(np.uint8), camera.show(screen_corners(aspect)) / 2


def test_corners_of_a_plain_screen_are_exact() -> None:
    """To half a pixel, wherever the first guess is, through a lens that bends by several pixels too."""
    for bend in (0.0, 0.02):
        picture, truth = plain_screen(1.6, bend)
        rng = np.random.default_rng(0)
        for _ in range(5):
            refined = refine_corners(picture, truth + rng.normal(0, 3, (4, 2)), 18.0)
            assert np.abs(refined.corners - truth).max() < (0.25 if bend == 0 else 0.5)
            assert refined.support.min() > 0.95


def test_simulated_photographs_become_exact() -> None:
    """From 3.5 pixels off, half of the corners come within 0.7 pixels, 0.05 % of the diagonal."""
    before, after = [], []
    for seed in range(12):
        photo = simulated(seed)
        rng = np.random.default_rng(seed)
        guess = photo.corners + rng.normal(0, 2.8, (4, 2))
        refined = refine_corners(photo.picture, guess, 18.0)
        before.append(np.hypot(*(guess - photo.corners).T))
        after.append(np.hypot(*(refined.corners - photo.corners).T))
    assert np.median(after) < 0.7 < np.median(before)
    assert np.mean(after) < 0.6 * np.mean(before)


def test_without_an_edge_the_guess_is_kept() -> None:
    guess = np.array([[200.0, 200.0], [1000, 210], [990, 700], [210, 690]])
    refined = refine_corners(np.full((900, 1200), 90, np.uint8), guess, 18.0)
    assert np.abs(refined.corners - guess).max() < 1e-6
    assert refined.support.max() == 0.0


def test_the_corners_of_a_simulated_screen_lie_on_its_edges() -> None:
    """Just inside of each side it is brighter than just outside, where the frame is dark and the screen is not."""
    agreeing = 0
    for seed in range(12):
        photo = simulated(100 + seed, (800, 600))
        middle = photo.corners.mean(0)
        inside = cv2.fillConvexPoly(
            np.zeros((600, 800), np.uint8), np.rint(middle + 0.97 * (photo.corners - middle)).astype(int), 1
        )
        grey = photo.picture.mean(-1)
        assert photo.is_whole
        agreeing += grey[inside > 0].mean() > grey[inside == 0].mean()
    assert agreeing >= 8


def test_points_of_the_radiograph_are_where_the_photograph_shows_them() -> None:
    """A bright disc on a dark radiograph is found where `Photo.show` says."""
    checked = 0
    for seed in range(16):
        radiograph = np.full((500, 640), 25, np.uint8)
        cv2.circle(radiograph, (330, 240), 12, (255,), -1)
        photo = photograph(radiograph, np.random.default_rng([6, seed]), (1000, 750), steepest=20)
        x, y = photo.show(np.array([[330.5, 240.5]]))[0]
        if not (30 < x < 970 and 30 < y < 720):
            continue
        around = photo.picture[int(y) - 25 : int(y) + 25, int(x) - 25 : int(x) + 25].mean(-1)
        if np.ptp(around) < 90:  # glare or text is over it
            continue
        bright = around > (around.min() + around.max()) / 2
        rows, columns = np.nonzero(bright)
        away = np.hypot(columns.mean() + 0.5 - 25 - x % 1, rows.mean() + 0.5 - 25 - y % 1)
        checked += away < 2.5
    assert checked >= 6


def test_the_same_seed_takes_the_same_photograph() -> None:
    first, second = simulated(3, (400, 300)), simulated(3, (400, 300))
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.corners, second.corners)


def test_a_cut_screen_has_a_corner_outside() -> None:
    for seed in range(12):
        rng = np.random.default_rng([9, seed])
        photo = photograph(draw_radiograph(rng), rng, (400, 300), cut=True)
        assert not photo.is_whole
        assert ((photo.corners < 0) | (photo.corners > [400, 300])).any()


def test_degraded_radiographs_stay_in_place() -> None:
    """Other grey levels, noise and moiré, but the same picture: it correlates best without a shift."""
    flat = draw_radiograph(np.random.default_rng(2), 400)
    other = False
    for seed in range(12):
        rng = np.random.default_rng(seed)
        worse = degrade(flat, rng)
        assert worse.shape == flat.shape
        assert worse.dtype == np.uint8
        other |= not np.array_equal(worse, flat)
        moved = [np.roll(flat, shift, (0, 1)) for shift in ((0, 0), (12, 0), (-12, 0), (0, 12), (0, -12))]
        likeness = [np.corrcoef(picture.ravel(), worse.ravel())[0, 1] for picture in moved]
        assert int(np.argmax(likeness)) == 0
        assert np.array_equal(degrade(flat, np.random.default_rng(seed)), worse)
    assert other


def test_jpeg_keeps_the_shape() -> None:
    for shape in ((30, 40), (30, 40, 3)):
        assert jpeg(np.full(shape, 100, np.uint8), 60).shape == shape
