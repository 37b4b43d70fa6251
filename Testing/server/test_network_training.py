"""The training command: a short run of it, stopped and resumed; and the samples that it learns from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def run(output: Path, steps: int) -> list[int]:
    command = [sys.executable, "-m", "segmentation", "--synthetic-only", "--output", str(output)]
    command += ["--steps", str(steps), "--batch", "2", "--side", "16", "--workers", "0"]
    paths = os.pathsep.join(str(ROOT / part) for part in ("server", "server/training"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "2"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    return [json.loads(line)["step"] for line in (output / "log.jsonl").read_text().splitlines()]


def test_training_runs_resumes_and_writes_weights(tmp_path: Path) -> None:
    assert run(tmp_path, 2) == [2]
    first = (tmp_path / "promptable.safetensors").read_bytes()
    assert run(tmp_path, 4) == [2, 4]  # goes on from step 2, and does not begin again
    assert (tmp_path / "promptable.safetensors").read_bytes() != first
    assert len(first) < 15_000_000


def test_the_same_seed_makes_the_same_samples() -> None:
    program = (
        "import torch; from segmentation.samples import Samples;"
        "it = iter(Samples(None, 24, 5)); draws = [next(it) for _ in range(4)];"
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
