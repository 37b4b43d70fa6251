"""``python -m vhs base|fold|export --output FOLDER``: train the landmark networks and put them in place."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from imeasure_server.models.weights_file import record_hash, save_weights
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.models_present import ORIENTATION_WEIGHTS, fold_weights
from imeasure_server.vhs.network import build_landmark_network
from vhs.dataset import RenderedSet
from vhs.marked_samples import MarkedSamples
from vhs.operator_data import read_marked
from vhs.samples import FOLDS, ThoraxSamples
from vhs.training import Plan, Samples, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="vhs", description=__doc__)
    parser.add_argument("stage", choices=["base", "fold", "export"])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--maps", type=Path, help="folder of `python -m vhs.dataset`")
    parser.add_argument("--count", type=int, default=6000, help="maps in that folder")
    parser.add_argument("--marked", type=Path, help="your own radiographs instead: a CSV, or the six-point format")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="end after that many, whatever the minutes")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.stage == "export":
        export(options.output)
        return
    if (options.maps is None) == (options.marked is None):
        parser.error("Give --maps or --marked: what to train on.")
    left_out = options.fold if options.stage == "fold" else None
    samples: Callable[[int], Samples]
    if options.marked is None:
        samples = partial(ThoraxSamples, RenderedSet(options.maps, options.count), left_out=left_out)
    else:
        samples = partial(MarkedSamples, read_marked(options.marked), left_out=left_out)
    machine = {"workers": options.workers, "threads": options.threads, "steps": options.steps}
    if options.stage == "base":
        train(samples, options.output / "base", Plan(options.minutes, seed=options.seed, **machine))
        return
    start = options.output / "base" / "weights.pt"
    if options.marked is not None and not start.is_file():
        start = WEIGHTS / fold_weights(options.fold)  # from what the server has, not from nothing
    plan = Plan(options.minutes, 6e-4, options.seed + 1 + options.fold, start_from=start, **machine)
    train(samples, options.output / f"fold{options.fold}", plan)


def export(output: Path) -> None:
    """The weights of the folds (and of the orientation when trained) into the server's folder, with hashes."""
    for fold in range(FOLDS):
        network = build_landmark_network()
        network.load_state_dict(torch.load(output / f"fold{fold}" / "weights.pt", weights_only=True))
        path = WEIGHTS / fold_weights(fold)
        save_weights(path, network)
        record_hash(path)
    turned = output / ORIENTATION_WEIGHTS
    if turned.is_file():
        shutil.copyfile(turned, WEIGHTS / ORIENTATION_WEIGHTS)
        record_hash(WEIGHTS / ORIENTATION_WEIGHTS)


if __name__ == "__main__":
    main()
