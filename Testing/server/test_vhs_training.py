"""Training and evaluation as an operator runs them: a short run, resumed, and their own radiographs in both formats."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from vhs.agreement import Case, intraclass_correlation, summary
from vhs.evaluation import examine_marked
from vhs.marked_samples import marked_sample
from vhs.operator_data import OperatorDataError, read_marked
from vhs.training import landmark_loss

from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.ensemble import LandmarkEnsemble
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, VLAS
from imeasure_server.vhs.network import POINTS, STRIDE
from imeasure_server.vhs.score import score_landmarks
from phantoms.radiograph import lateral_thorax

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> str:
    paths = os.pathsep.join(str(ROOT / part) for part in ("server", "server/training"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, check=True, capture_output=True, text=True, timeout=240
    )
    return finished.stdout


def six_points(folder: Path, count: int) -> list[np.ndarray]:
    """Radiographs in the public format, made as its authors made theirs: .mat beside the image."""
    truths = []
    for seed in range(count):
        picture, points = lateral_thorax(seed)
        Image.fromarray(picture).save(folder / f"dog{seed}.png")
        score = score_landmarks(points)
        content = {"six_points": points[[0, 1, 2, 3, 5, 6]], "VHS": np.array([[score.vhs]])}
        scipy.io.savemat(folder / f"dog{seed}.mat", content)
        truths.append(points)
    return truths


def our_csv(folder: Path, count: int) -> Path:
    path = folder / "points.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", *(f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy")])
        for seed in range(count):
            picture, points = lateral_thorax(seed)
            Image.fromarray(picture).save(folder / f"dog{seed}.png")
            rows.writerow([f"dog{seed}.png", *points.ravel()])
    return path


def test_the_six_point_format(tmp_path: Path) -> None:
    truths = six_points(tmp_path, 2)
    for marked, truth in zip(read_marked(tmp_path), truths, strict=True):
        known = [index for index in range(7) if index != VLAS]
        assert np.allclose(marked.landmarks[known], truth[known])
        assert np.isnan(marked.landmarks[VLAS]).all()
        assert marked.vhs == pytest.approx(score_landmarks(truth).vhs)
        assert marked.picture().shape == (512, 640)


def test_the_six_point_format_with_the_short_axis_the_other_way_round(tmp_path: Path) -> None:
    (truth,) = six_points(tmp_path, 1)
    content = {"six_points": truth[[0, 1, 3, 2, 5, 6]], "VHS": 10.0}
    scipy.io.savemat(tmp_path / "dog0.mat", content)
    assert np.allclose(read_marked(tmp_path)[0].landmarks[:4], truth[:4])


def test_our_csv(tmp_path: Path) -> None:
    for seed, marked in enumerate(read_marked(our_csv(tmp_path, 2))):
        assert np.allclose(marked.landmarks, lateral_thorax(seed)[1])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("points.csv", b"image,heart_top_x\n", "lacks the columns"),
        ("dog.mat", b"no matrix", "no image for dog.mat|six-point format"),
        ("readme.txt", b"", "no marked radiograph"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorDataError, match=why):
        read_marked(tmp_path / name if name.endswith(".csv") else tmp_path)


def test_a_matrix_file_that_is_none(tmp_path: Path) -> None:
    six_points(tmp_path, 1)
    (tmp_path / "dog0.mat").write_bytes(b"no matrix")
    with pytest.raises(OperatorDataError, match="six-point format"):
        read_marked(tmp_path)


def test_a_sample_keeps_its_landmarks_on_the_picture() -> None:
    """A bright spot at each landmark is still there after framing and tone."""
    picture, points = lateral_thorax(1)
    spots = np.zeros_like(picture)
    for x, y in points:
        spots[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = 255
    image, moved = marked_sample(spots, points, np.random.default_rng(3))
    for x, y in moved[:7]:
        assert image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean() > 120
    assert np.isnan(moved[7:]).all()


def test_the_loss_ignores_what_is_not_known_and_is_least_at_the_truth() -> None:
    points = torch.full((1, POINTS, 2), torch.nan)
    points[0, 0] = torch.tensor([50.0, 30.0])
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    distance = ((x + 0.5) * STRIDE - 50) ** 2 + ((y + 0.5) * STRIDE - 30) ** 2
    right = (-distance / (2 * (1.2 * STRIDE) ** 2)).expand(1, POINTS, 20, 30).clone()
    loss, pixels = landmark_loss(right, points)
    assert float(pixels) < 0.1
    moved, _ = landmark_loss(right.roll(2, dims=3), points)
    assert float(moved) > float(loss)
    right[0, 1:] = 1e3 * torch.randn(POINTS - 1, 20, 30)
    assert float(landmark_loss(right, points)[0]) == pytest.approx(float(loss))


def test_intraclass_correlation_is_the_published_value() -> None:
    """Shrout and Fleiss, Psychol Bull 86 (1979) 420, table 2: six targets by four judges, ICC(2,1) = 0.29 (table 4)."""
    judged = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
    assert intraclass_correlation(judged) == pytest.approx(0.29, abs=0.005)
    assert intraclass_correlation(judged[:, [0, 0]]) == pytest.approx(1.0)


def test_the_summary_of_known_errors() -> None:
    truth = np.array([[300.0, 200], [300, 420], [210, 300], [390, 300], [360, 280], [200, 100], [440, 100]])
    cases = [
        Case(truth, truth + np.array([3, 4]), 1000.0, (9.0, 9.4), (2.0, 2.2), 0.004, "optimal"),
        Case(truth, truth, 1000.0, (11.0, 10.4), (2.5, None), 0.009, "review"),
        Case(truth, None, 1000.0, (8.0, None), (2.0, None), None, "review"),
    ]
    figures = summary(cases)
    assert figures["measured"] == pytest.approx(2 / 3)
    assert figures["landmark error, % of the diagonal"] == pytest.approx(0.25)
    assert figures["landmark error, vertebrae"] == pytest.approx(2.5 / 40)
    assert figures["VHS mean absolute error"] == pytest.approx(0.5)
    assert figures["VHS bias"] == pytest.approx(-0.1)
    assert figures["VHS class accuracy"] == pytest.approx(1.0)
    assert figures["optimal, share"] == pytest.approx(0.5)
    assert figures["review, VHS within 0.5"] == pytest.approx(0.0)


def test_training_runs_resumes_and_learns_from_both_sources(tmp_path: Path) -> None:
    maps, output = tmp_path / "maps", tmp_path / "out"
    command("vhs.dataset", str(maps), "--count", "5", "--first-seed", "2000100")
    base = ["vhs", "base", "--maps", str(maps), "--count", "5", "--output", str(output)]
    command(*base, "--minutes", "0.001")
    first = torch.load(output / "base" / "checkpoint.pt", weights_only=True)["step"]
    command(*base, "--minutes", "1000", "--steps", str(first + 1))
    assert torch.load(output / "base" / "checkpoint.pt", weights_only=True)["step"] == first + 1
    own = tmp_path / "own"
    own.mkdir()
    six_points(own, 5)
    command("vhs", "fold", "--fold", "2", "--marked", str(own), "--output", str(output), "--minutes", "0.001")
    assert (output / "fold2" / "weights.pt").is_file()


def test_an_operator_measures_the_server_on_their_own_radiographs_in_one_command(tmp_path: Path) -> None:
    six_points(tmp_path, 3)
    printed = command(
        "vhs.evaluation", "--synthetic", "0", "--marked", str(tmp_path), "--output", str(tmp_path / "out")
    )
    assert "VHS mean absolute error" in printed
    figures = json.loads((tmp_path / "out" / "vhs.json").read_text())["marked"]
    ensemble = LandmarkEnsemble.load(WEIGHTS, "cpu")
    again = summary([examine_marked(ensemble, marked) for marked in read_marked(tmp_path)])
    assert figures == pytest.approx(again, rel=1e-3, abs=1e-3)  # another number of threads adds up otherwise
