"""Turning radiographs, letterboxes and frames: a marked pixel is followed there and back."""

from __future__ import annotations

import numpy as np
import pytest

from imeasure_server.models.weights_file import read_weights
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.ensemble import LandmarkEnsemble
from imeasure_server.vhs.frames import frame_about, framed, moved_heat, out_of_frame
from imeasure_server.vhs.letterbox import letterboxed
from imeasure_server.vhs.models_present import ORIENTATION_WEIGHTS
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH, STRIDE
from imeasure_server.vhs.orientation import (
    ORIENTATIONS,
    build_orientation_network,
    orientation_scores,
    turned,
    turned_back,
)
from phantoms.radiograph import lateral_thorax


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_a_pixel_comes_back_to_where_it_was(orientation: int) -> None:
    picture = np.zeros((50, 70), np.uint8)
    picture[12, 33] = 255
    (row, column) = np.argwhere(turned(picture, orientation))[0]
    back = turned_back(np.array([[column + 0.5, row + 0.5]]), orientation, 70, 50)
    assert back[0] == pytest.approx([33.5, 12.5])


def test_the_orientations_differ() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert len({(turned(picture, index).shape, turned(picture, index).tobytes()) for index in range(8)}) == 8


@pytest.mark.parametrize("shape", [(300, 900), (1200, 500), (352, 448), (20, 30)])
def test_a_letterbox_keeps_proportions_and_the_middle(shape: tuple[int, int]) -> None:
    rows, columns = shape
    canvas = letterboxed(np.full(shape, 200, np.uint8), INPUT_HEIGHT, INPUT_WIDTH)
    assert canvas.shape == (INPUT_HEIGHT, INPUT_WIDTH)
    y, x = np.nonzero(canvas > 100)
    high, wide = np.ptp(y) + 1, np.ptp(x) + 1
    assert (high == INPUT_HEIGHT) or (wide == INPUT_WIDTH)
    assert wide / high == pytest.approx(columns / rows, rel=0.02)
    middle = [(x + 0.5).mean(), (y + 0.5).mean()]
    assert middle == pytest.approx([INPUT_WIDTH / 2, INPUT_HEIGHT / 2], abs=0.51)


@pytest.mark.parametrize("size", [(200, 260), (900, 1200), (2500, 3000)])
@pytest.mark.parametrize("turn", [0.0, 7.0, -4.0])
def test_a_frame_shows_a_spot_where_its_matrix_says(size: tuple[int, int], turn: float) -> None:
    """Also for large pictures, which are averaged down before: no half pixel is lost."""
    height, width = size
    picture = np.zeros(size, np.uint8)
    radius = max(2, width // 60)
    row, column = height // 3, width * 2 // 3
    picture[row - radius : row + radius, column - radius : column + radius] = 255
    frame = frame_about(
        np.array([width, height]) / 2, 0.9 * min(INPUT_WIDTH / width, INPUT_HEIGHT / height), turn, (0.02, -0.01)
    )
    shown = framed(picture, frame)
    y, x = np.mgrid[:INPUT_HEIGHT, :INPUT_WIDTH] + 0.5
    found = np.array([(shown * x).sum(), (shown * y).sum()]) / shown.sum()
    assert found == pytest.approx(frame[:, :2] @ [column, row] + frame[:, 2], abs=0.1)


def test_what_is_said_of_a_picture_turns_with_it() -> None:
    """The scores of a turned picture are those of the picture, each at the orientation that now brings it back."""
    network = read_weights(WEIGHTS, ORIENTATION_WEIGHTS, build_orientation_network())
    picture, _ = lateral_thorax(5)
    scores = orientation_scores(network, picture)
    for away in range(ORIENTATIONS):
        again = orientation_scores(network, turned(picture, away))
        for back in range(ORIENTATIONS):
            same = next(o for o in range(8) if np.array_equal(turned(picture, o), turned(turned(picture, away), back)))
            assert again[back] == pytest.approx(scores[same], abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_a_dog_is_measured_the_same_however_the_picture_is_turned(seed: int) -> None:
    """Landmarks come back in the pixels of the picture that was given; the truth is known by construction."""
    ensemble = LandmarkEnsemble.load(WEIGHTS, "cpu")
    picture, truth = lateral_thorax(seed + 40)
    height, width = picture.shape
    unit = np.hypot(*(truth[6] - truth[5])) / 6
    for orientation in range(ORIENTATIONS):
        shown = turned(picture, orientation)
        found = turned_back(ensemble.predict(shown).points, orientation, width, height)
        assert np.hypot(*(found - truth).T).mean() < 0.35 * unit


def test_a_heat_map_moves_with_the_picture() -> None:
    """A spot in the picture, seen in one frame, lies where the other frame would show it."""
    seen_in = frame_about(np.array([500.0, 400.0]), 0.5, 5.0, (0.02, 0.0))
    other = frame_about(np.array([480.0, 420.0]), 0.55, -3.0)
    spot = np.array([530.0, 380.0])
    rows, columns = INPUT_HEIGHT // STRIDE, INPUT_WIDTH // STRIDE
    y, x = (np.mgrid[:rows, :columns] + 0.5) * STRIDE
    place = seen_in[:, :2] @ spot + seen_in[:, 2]
    heat = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 128)[None].astype(np.float32)
    moved = moved_heat(heat / heat.sum(), seen_in, other)[0]
    found = np.array([(moved * x).sum(), (moved * y).sum()])
    assert moved.sum() == pytest.approx(1.0, abs=1e-5)
    assert found == pytest.approx(other[:, :2] @ spot + other[:, 2], abs=0.1)
    assert out_of_frame(found[None], other)[0] == pytest.approx(spot, abs=0.3)
