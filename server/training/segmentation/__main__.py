"""Train the promptable network: resumable, seeded, logged.

PYTHONPATH=server/training .venv/bin/python -m segmentation --output FOLDER

A run that was stopped goes on from its last checkpoint when the same command is given again; a longer ``--steps``
goes on too. At its end the smoothed weights are written as fp16 safetensors.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from segmentation.processes import train_together
from segmentation.training import Place, Schedule, train


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the promptable network.")
    parser.add_argument("--output", type=Path, default=Path("training-output/segmentation"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--synthetic-only", action="store_true", help="use no real image")
    parser.add_argument("--steps", type=int, default=Schedule.steps, help="batches")
    parser.add_argument("--minutes", type=float, default=Schedule.minutes, help="end after so many of training")
    parser.add_argument("--start-from", type=Path, help="weights (safetensors) to begin with")
    parser.add_argument("--batch", type=int, default=Schedule.batch)
    parser.add_argument("--side", type=int, default=Schedule.side, help="cells of the cube's side, a multiple of 8")
    parser.add_argument("--coarse-share", type=float, default=Schedule.coarse_share, help="of the run, on coarse cubes")
    parser.add_argument(
        "--fine-tail", type=float, default=Schedule.decay_share, help="share of steps with falling rate"
    )
    parser.add_argument("--rate", type=float, default=Schedule.rate)
    parser.add_argument("--real-share", type=float, default=Schedule.real_share)
    parser.add_argument("--seed", type=int, default=Schedule.seed)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0, help="processes that make samples (for a GPU: 8)")
    parser.add_argument("--processes", type=int, help="that train together on a CPU (default: one a core)")
    options = parser.parse_args()
    data = None if options.synthetic_only else options.data
    if data is not None and not (data / "sts-ibsi").is_dir():
        parser.error(f"{data} holds no sts-ibsi: say --data FOLDER, or --synthetic-only.")
    schedule = Schedule(
        steps=options.steps,
        minutes=options.minutes,
        batch=options.batch,
        side=options.side,
        coarse_share=options.coarse_share,
        decay_share=options.fine_tail,
        rate=options.rate,
        real_share=options.real_share,
        seed=options.seed,
    )
    count = options.processes or (torch.get_num_threads() if options.device == "cpu" else 1)
    if count == 1:
        train(options.output, data, schedule, Place(0, 1, options.device, options.workers), options.start_from)
        return
    train_together(count, options.output, data, schedule, options.start_from)


if __name__ == "__main__":
    main()
