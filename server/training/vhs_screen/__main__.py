"""Train the network that finds screens: resumable, seeded, logged.

PYTHONPATH=server/training:server .venv/bin/python -m vhs_screen --output FOLDER

A run that was stopped goes on from its last checkpoint when the same command is given again. At its end the smoothed
weights are written as fp16 safetensors.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import torch

from vhs_screen.radiographs import radiograph_source, synthetic_thoraxes
from vhs_screen.samples import Samples, read_photographs
from vhs_screen.training import Schedule, steps_done, train


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network that finds a screen in a photograph.")
    parser.add_argument("--output", type=Path, default=Path("training-output/vhs-screen"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--synthetic-only", action="store_true", help="use no real image")
    parser.add_argument("--steps", type=int, default=Schedule.steps, help="batches")
    parser.add_argument("--minutes", type=float, default=Schedule.minutes, help="end after so many of training")
    parser.add_argument("--batch", type=int, default=Schedule.batch)
    parser.add_argument("--rate", type=float, default=Schedule.rate)
    parser.add_argument("--seed", type=int, default=Schedule.seed)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    parser.add_argument("--thoraxes", type=int, default=120, help="synthetic radiographs to draw first")
    options = parser.parse_args()
    data = None if options.synthetic_only else options.data
    if data is not None and not (data / "negatives-human-cxr").is_dir():
        parser.error(f"{data} holds no negatives-human-cxr: say --data FOLDER, or --synthetic-only.")
    if options.device == "cpu":
        torch.set_num_threads(1)  # the other core makes the samples
    schedule = Schedule(options.steps, options.minutes, options.batch, options.rate, seed=options.seed)
    cv2.setNumThreads(0)  # a process that makes samples hangs when OpenCV has had threads in this one before
    thoraxes = synthetic_thoraxes(options.thoraxes, options.seed)
    samples = Samples(
        radiograph_source(data, thoraxes), read_photographs(data), options.seed + steps_done(options.output)
    )
    train(options.output, samples, schedule, options.device, options.workers)


if __name__ == "__main__":
    main()
