"""Train the classifier and say how good it is; minutes on one core.

    PYTHONPATH=server/training:server python -m vhs_classifier --output FOLDER [--maps FOLDER]

First on drawn pictures alone; then on with real ones, four times with a quarter of them held out, for the figures, and
once with all, for the weights.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from vhs.anatomy import Thorax, sample_thorax
from vhs.dataset import RenderedSet

from imeasure_server.models.weights_file import save_weights
from imeasure_server.vhs.classifier import ACCEPTED_FROM, build_classifier
from imeasure_server.vhs.models_present import CLASSIFIER_WEIGHTS
from vhs_classifier.evaluation import FOLDS, Probabilities, probabilities, split, table
from vhs_classifier.pool import draw_pool
from vhs_classifier.real_pictures import real_pictures
from vhs_classifier.training import POSITIVES, Mixture, train

REAL_SHARE = 0.35
RATE, FINE_RATE = 3e-3, 1e-3
DRAWN_DOGS, TEST_DOGS = 600, 120


def main() -> None:
    parser = argparse.ArgumentParser(prog="vhs_classifier", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("training-output/vhs-classifier"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--maps", type=Path, help="folder of `python -m vhs.dataset`; without it dogs are drawn here")
    parser.add_argument("--count", type=int, default=6000, help="maps in that folder")
    parser.add_argument("--pictures", type=int, default=2000, help="to draw for training")
    parser.add_argument("--steps", type=int, default=3300, help="on drawn pictures")
    parser.add_argument("--fine-steps", type=int, default=350, help="with real pictures")
    parser.add_argument("--start", type=Path, help="weights (base.safetensors) to go on from")
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)

    if options.maps is not None:
        rendered = RenderedSet(options.maps, options.count)
        dogs, available = rendered.__getitem__, rendered.rendered
    else:
        dogs, available = _drawn_dogs(options.seed * 1_000_000), DRAWN_DOGS
    drawn = draw_pool(dogs, available, options.pictures, options.seed, output / "pool.npz")
    test_dogs = _drawn_dogs(options.seed * 1_000_000 + 500_000)
    test = draw_pool(test_dogs, TEST_DOGS, options.pictures // 6, options.seed + 1, output / "test.npz")
    real = real_pictures(options.data)

    start = build_classifier() if options.start is not None else None
    if start is not None:
        start.load_state_dict({name: tensor.float() for name, tensor in load_file(options.start).items()})
    base = train(Mixture(drawn, {}), options.steps, RATE, options.seed, start)
    save_weights(output / "base.safetensors", base)
    report: dict[str, Probabilities] = {"drawn only, real": probabilities(base, real)}
    held_out: Probabilities = {}
    for fold in range(FOLDS if real else 0):
        kept, held = split(real, fold)
        network = train(Mixture(drawn, kept, REAL_SHARE), options.fine_steps, FINE_RATE, options.seed + fold, base)
        for group, values in probabilities(network, held).items():
            held_out.setdefault(group, []).extend(values)
    report["held out, real"] = held_out
    final = train(Mixture(drawn, real, REAL_SHARE), options.fine_steps, FINE_RATE, options.seed, base)
    report["final, drawn"] = probabilities(final, test)
    save_weights(output / CLASSIFIER_WEIGHTS, final)
    (output / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, found in report.items():
        print(f"\n{name}\n\n{table(found, ACCEPTED_FROM, POSITIVES)}", flush=True)


def _drawn_dogs(first_seed: int) -> Callable[[int], Thorax]:
    """Gives dogs by their number, each drawn once."""

    @cache
    def dog(number: int) -> Thorax:
        return sample_thorax(np.random.default_rng(first_seed + number))

    return dog


if __name__ == "__main__":
    main()
