"""Rectifying a screen: the true aspect ratio, the homography, and corners that no screen has."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from vhs_screen.camera import Camera, Pose, screen_corners, take, transformed

from imeasure_server.vhs.screen.aspect_ratio import true_aspect
from imeasure_server.vhs.screen.rectification import NotAScreen, flat_size, rectify

WIDTH, HEIGHT = 1600, 1200
FRONTAL = np.array([[400.0, 300.0], [1200.0, 300.0], [1200.0, 900.0], [400.0, 900.0]])


def poses() -> list[Pose]:
    return [
        Pose(),
        Pose(60, yaw=25, pitch=-15, roll=3, filled=0.8),
        Pose(70, yaw=-30, pitch=20, roll=-8, filled=0.7, shift=(0.5, -0.5)),
        Pose(62, yaw=28, filled=0.8),  # turned about one axis: the corners do not tell the focal length
        Pose(66, pitch=-25, filled=0.7),
        Pose(50, yaw=20, pitch=20, roll=30, filled=0.6),
    ]


@pytest.mark.parametrize("aspect", [16 / 9, 4 / 3, 3 / 4])
@pytest.mark.parametrize("pose", poses())
def test_the_aspect_ratio_is_recovered_from_the_perspective(pose: Pose, aspect: float) -> None:
    corners = take(pose, aspect, WIDTH, HEIGHT).show(screen_corners(aspect))
    assert true_aspect(corners, WIDTH, HEIGHT) == pytest.approx(aspect, rel=0.02)


def test_corner_errors_of_half_a_pixel_hardly_change_the_aspect_ratio() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(200):
        yaw, pitch = rng.uniform(-30, 30, 2)
        camera = take(Pose(rng.uniform(55, 75), yaw, pitch, rng.normal(0, 4), 0.8), 16 / 9, WIDTH, HEIGHT)
        corners = camera.show(screen_corners(16 / 9)) + rng.normal(0, 0.5, (4, 2))
        errors.append(abs(true_aspect(corners, WIDTH, HEIGHT) / (16 / 9) - 1))
    assert np.median(errors) < 0.01
    assert np.percentile(errors, 95) < 0.05


def chart(width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A grey picture with four bright discs, and their centres."""
    picture = np.full((height, width), 60, np.uint8)
    centres = np.array([[0.25, 0.3], [0.7, 0.2], [0.8, 0.75], [0.3, 0.8]]) * [width, height]
    for x, y in centres:
        cv2.circle(picture, (round((x - 0.5) * 16), round((y - 0.5) * 16)), 20 * 16, (220,), -1, cv2.LINE_AA, 4)
    return picture, centres


def photo_of(picture: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    x, y = camera.plane_of_pixels()
    pixels = np.float32(picture.shape[0])
    shown = cv2.remap(picture, x * pixels - 0.5, y * pixels - 0.5, cv2.INTER_LINEAR, borderValue=(10,))
    return np.asarray(shown, np.uint8)


def disc_centres(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = picture.mean(-1) if picture.ndim == 3 else picture
    count, _, _, centres = cv2.connectedComponentsWithStats((grey > 140).astype(np.uint8))
    assert count == 5
    return np.asarray(centres[1:] + 0.5)


@pytest.mark.parametrize("coloured", [False, True])
def test_a_photograph_becomes_the_flat_picture_again(coloured: bool) -> None:
    """Shapes are where they were, to a pixel, by the homography as well as by the picture."""
    flat, centres = chart(1000, 750)
    camera = take(Pose(64, yaw=24, pitch=-12, roll=4, filled=0.85), 4 / 3, WIDTH, HEIGHT)
    photo = photo_of(flat, camera)
    corners = camera.show(screen_corners(4 / 3))
    rectified = rectify(np.repeat(photo[..., None], 3, -1) if coloured else photo, corners)
    height, width = rectified.picture.shape[:2]
    assert rectified.picture.ndim == (3 if coloured else 2)
    expected = centres * [width / 1000, height / 750]
    found = disc_centres(rectified.picture)
    nearest = [np.hypot(*(found - place).T).min() for place in expected]
    assert max(nearest) < 1.0
    seen = camera.show(centres / 750)
    assert transformed(seen, rectified.homography) == pytest.approx(expected, abs=1.5)
    assert transformed(corners, rectified.homography) == pytest.approx(
        np.array([[0, 0], [width, 0], [width, height], [0, height]]), abs=0.01
    )


def test_no_resolution_is_lost() -> None:
    corners = np.array([[100.0, 120.0], [900.0, 80.0], [880.0, 700.0], [140.0, 640.0]])
    for aspect in (1.0, 4 / 3, 2.0):
        width, height = flat_size(corners, aspect)
        assert width >= 800
        assert height >= 619
        assert width / height == pytest.approx(aspect, rel=0.01)


def test_a_frontal_screen_is_cut_out_pixel_for_pixel() -> None:
    rng = np.random.default_rng(0)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 1.5)
    rectified = rectify(photo, FRONTAL)
    assert rectified.picture.shape == (600, 800, 3)
    away = np.abs(rectified.picture.astype(int) - photo[300:900, 400:1200].astype(int))
    assert np.percentile(away, 99) <= 1


def test_another_first_corner_turns_the_picture() -> None:
    flat, _ = chart(WIDTH, HEIGHT)
    turned = rectify(flat, np.roll(FRONTAL, -1, 0)).picture
    upright = rectify(flat, FRONTAL).picture
    assert turned.shape == (800, 600)
    assert np.abs(np.rot90(upright).astype(int) - turned.astype(int)).mean() < 1


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        (FRONTAL[[1, 0, 3, 2]], "mirrored"),
        (FRONTAL[[0, 2, 1, 3]], "convex"),
        (FRONTAL * [1, 0] + [0, 500], "convex"),
        (np.vstack([FRONTAL[:3], [[1100.0, 400.0]]]), "convex"),
        (np.zeros((4, 2)), "convex"),
        (FRONTAL + np.array([900, 0]), "outside"),
        ((FRONTAL - 800) * 0.03 + 600, "small"),
        (np.array([[400.0, 580.0], [1200, 300], [1200, 900], [400, 620]]), "aside"),
        (np.array([[100.0, 100.0], [1100, 700], [1500, 1050], [500, 450]]), "aside"),
        (np.array([[20.0, 500.0], [1580, 500], [1580, 560], [20, 560]]), "longer"),
        (FRONTAL * np.nan, "coordinates"),
        (FRONTAL[:3], "coordinates"),
    ],
)
def test_corners_that_no_screen_has_are_refused(corners: NDArray[np.float64], words: str) -> None:
    with pytest.raises(NotAScreen, match=words):
        rectify(np.zeros((HEIGHT, WIDTH), np.uint8), corners)


def test_the_simulated_camera_is_exact() -> None:
    """What the corners' pixels show is the corners of the screen, with a bent lens too."""
    camera = take(Pose(70, 30, -20, 10, 0.8), 1.6, 640, 480, bend=0.03)
    x, y = camera.plane_of_pixels()
    places = np.dstack([x, y])
    for corner, seen in zip(screen_corners(1.6), camera.show(screen_corners(1.6)), strict=True):
        column, row = (np.array([[value - 0.5]], np.float32) for value in seen)
        assert cv2.remap(places, column, row, cv2.INTER_LINEAR)[0, 0] == pytest.approx(corner, abs=2e-3)
