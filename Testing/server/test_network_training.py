"""The training command: a short run of it, stopped and resumed; and the samples that it learns from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).parents[2]


def run(output: Path, steps: int, processes: int) -> list[int]:
    command = [sys.executable, "-m", "segmentation", "--synthetic-only", "--output", str(output)]
    command += [
        "--steps",
        str(steps),
        "--batch",
        "2",
        "--side",
        "32",
        "--processes",
        str(processes),
        "--coarse-share",
        "0",
    ]
    paths = os.pathsep.join(str(ROOT / part) for part in ("server", "server/training"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "2"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    return [json.loads(line)["step"] for line in (output / "log.jsonl").read_text().splitlines()]


def test_training_runs_resumes_and_writes_weights(tmp_path: Path) -> None:
    assert run(tmp_path, 2, 2) == [2]
    first = (tmp_path / "promptable.safetensors").read_bytes()
    assert run(tmp_path, 4, 1) == [2, 4]  # goes on from step 2, and does not begin again
    assert (tmp_path / "promptable.safetensors").read_bytes() != first
    assert len(first) < 15_000_000


def test_the_same_seed_makes_the_same_samples() -> None:
    program = (
        "import torch; from segmentation.samples import Samples;"
        "it = iter(Samples(([], []), 24, 5)); draws = [next(it) for _ in range(4)];"
        "print([(float(d.image.sum()), float(d.truth.sum()), d.cell) for d in draws]);"
        "assert all(set(d.truth.unique().tolist()) <= {0.0, 1.0} for d in draws)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "server"), str(ROOT / "server/training")])}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True, timeout=120
        ).stdout
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1]
    assert np.isfinite([value for values in eval(outputs[0]) for value in values]).all()


def test_where_an_image_ends_does_not_tell_where_the_lesion_ends(tmp_path: Path) -> None:
    """The sts-ibsi images end 30 mm beyond the lesion: a network that could see that would know its size."""
    mask = np.zeros((80, 90, 100), dtype=np.uint8)
    mask[30:50, 30:60, 30:70] = 1
    for name, array in (("ct", mask.astype(np.int16) * 60), ("gtv", mask)):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"{name}.nii.gz"))
    program = (
        "import sys, torch; from pathlib import Path; from torch import Generator;"
        "from segmentation.real_volumes import RealVolume;"
        "lesion = RealVolume(Path(sys.argv[1]) / 'ct.nii.gz', Path(sys.argv[1]) / 'gtv.nii.gz');"
        "generator = Generator().manual_seed(1);"
        "parts = [torch.stack(lesion._known_part(generator)) for _ in range(400)];"
        "ends = torch.tensor([[30.0, 30.0, 30.0], [69.0, 59.0, 49.0]]);"
        "beyond = torch.stack([ends[0] - torch.stack(parts)[:, 0], torch.stack(parts)[:, 1] - ends[1]]).flatten();"
        "print(float(beyond.min()), float(beyond.max()), float(beyond.std()), float((beyond > 29).float().mean()))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "server"), str(ROOT / "server/training")])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    least, most, spread, untouched = (float(value) for value in done.stdout.split())
    assert least < 0 < most <= 31
    assert spread > 8
    assert untouched < 0.25
