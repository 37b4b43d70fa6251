"""The screen finder with its weights: simulated photographs of screens, and pictures that show none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from vhs_screen.negatives import draw_negative
from vhs_screen.radiographs import collimated, draw_radiograph, synthetic_thoraxes, varied
from vhs_screen.simulator import Photo, photograph

from imeasure_server.models.weights_file import WeightsError
from imeasure_server.models.weights_listing import CHECKSUMS, WEIGHTS
from imeasure_server.vhs.screen.corners import WEIGHTS_NAME, ScreenFinder
from imeasure_server.vhs.screen.rectification import rectify

ROOT = Path(__file__).parents[2]
PICTURES = ROOT.parent / "shared" / "data"
DATA = Path(os.environ.get("IMEASURE_DATA", PICTURES))


@pytest.fixture(scope="module")
def finder() -> ScreenFinder:
    return ScreenFinder(WEIGHTS)


@pytest.fixture(scope="module")
def thoraxes() -> list[NDArray[np.uint8]]:
    return synthetic_thoraxes(4, 99)


@pytest.fixture(scope="module")
def photos(thoraxes: list[NDArray[np.uint8]]) -> list[Photo]:
    taken = []
    for seed in range(12):
        rng = np.random.default_rng([77, seed])
        size = (1200, 900) if seed % 3 else (900, 1200)
        taken.append(photograph(varied(thoraxes[seed % 4], rng), rng, size))
    return taken


def test_corners_are_found(finder: ScreenFinder, photos: list[Photo]) -> None:
    errors = []
    for photo in photos:
        corners = finder.find(photo.picture)
        if corners is not None:
            assert corners.shape == (4, 2)
            assert corners.dtype == np.float64
            errors.append(np.hypot(*(corners - photo.corners).T).mean() / np.hypot(*photo.picture.shape[:2]))
    assert len(errors) >= 0.75 * len(photos)
    assert np.median(errors) < 0.004
    assert np.mean(np.array(errors) < 0.02) >= 0.8


def test_the_flat_picture_has_the_screens_aspect_ratio(finder: ScreenFinder, photos: list[Photo]) -> None:
    errors = []
    for photo in photos:
        corners = finder.find(photo.picture)
        if corners is not None:
            height, width = rectify(photo.picture, corners).picture.shape[:2]
            errors.append(abs(width / height / photo.aspect - 1))
    assert np.median(errors) < 0.02


def test_colour_size_and_border_change_little(finder: ScreenFinder, photos: list[Photo]) -> None:
    """A grey picture and one of 12 megapixels have the same corners."""
    photo = next(p for p in photos if finder.find(p.picture) is not None)
    corners = finder.find(photo.picture)
    grey = cv2.cvtColor(photo.picture, cv2.COLOR_RGB2GRAY)
    large = cv2.resize(photo.picture, None, fx=10 / 3, fy=10 / 3, interpolation=cv2.INTER_CUBIC)
    for other, scale in ((grey, 1.0), (large, 10 / 3)):
        again = finder.find(np.asarray(other, np.uint8))
        assert again is not None
        assert corners is not None
        assert np.abs(again / scale - corners).max() < 3.0


def test_flat_radiographs_are_no_screens(finder: ScreenFinder, thoraxes: list[NDArray[np.uint8]]) -> None:
    """Nor are those within black or white borders, straight or turned."""
    for seed in range(24):
        rng = np.random.default_rng([5, seed])
        flat = thoraxes[seed % 4] if seed % 2 else draw_radiograph(rng, 500)
        assert finder.find(flat) is None
        assert finder.find(collimated(flat, rng)) is None
        frame = int(rng.integers(5, 60))
        for shade in (0, 255):
            assert finder.find(cv2.copyMakeBorder(flat, *[frame] * 4, cv2.BORDER_CONSTANT, value=shade)) is None


def test_other_pictures_are_no_screens(finder: ScreenFinder, thoraxes: list[NDArray[np.uint8]]) -> None:
    """Screenshots, documents, rooms, and nothing at all."""
    for seed in range(60):
        rng = np.random.default_rng([6, seed])
        assert finder.find(draw_negative(lambda r: thoraxes[int(r.integers(4))], rng, 600)) is None
    for shade in (0, 128, 255):
        assert finder.find(np.full((480, 640, 3), shade, np.uint8)) is None
    assert finder.find(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)) is None
    assert finder.find(np.full((1, 1), 9, np.uint8)) is None
    assert finder.find(np.full((3, 900), 9, np.uint8)) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real pictures are not here")
def test_real_radiographs_are_no_screens(finder: ScreenFinder) -> None:
    patterns = ("canine-vhs/*.png", "negatives-human-cxr/*.png", "feline-vetxray/*.jpg", "negatives-vet-other/*.jpg")
    paths = sorted(path for pattern in patterns for path in DATA.glob(pattern))
    assert paths
    assert [path.name for path in paths if finder.find(read(path)) is not None] == []


def read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def test_a_cut_screen_has_no_corners(finder: ScreenFinder, thoraxes: list[NDArray[np.uint8]]) -> None:
    found = 0
    for seed in range(12):
        rng = np.random.default_rng([8, seed])
        photo = photograph(varied(thoraxes[seed % 4], rng), rng, (1000, 750), cut=True)
        found += finder.find(photo.picture) is not None
    assert found <= 2


def test_damaged_or_missing_weights_are_not_used(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not listed"):
        ScreenFinder(tmp_path)
    shutil.copy(WEIGHTS / CHECKSUMS, tmp_path)
    with pytest.raises(WeightsError, match=r"screen\.safetensors is missing"):
        ScreenFinder(tmp_path)
    content = bytearray((WEIGHTS / WEIGHTS_NAME).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS_NAME).write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        ScreenFinder(tmp_path)


def test_training_runs_resumes_and_writes_weights(tmp_path: Path) -> None:
    def run(steps: int) -> list[int]:
        command = [sys.executable, "-m", "vhs_screen", "--synthetic-only", "--thoraxes", "1", "--output", str(tmp_path)]
        command += ["--steps", str(steps), "--batch", "2", "--workers", "0"]
        paths = os.pathsep.join(str(ROOT / part) for part in ("server", "server/training"))
        subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=True, capture_output=True, timeout=240)
        return [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    assert run(2) == [2]
    first = (tmp_path / WEIGHTS_NAME).read_bytes()
    assert run(4) == [2, 4]  # goes on from step 2, and does not begin again
    assert (tmp_path / WEIGHTS_NAME).read_bytes() != first
    assert len(first) < 3_000_000
