"""``python -m vhs base|fold|ensemble --output FOLDER``: train the landmark networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from vhs.dataset import RenderedSet
from vhs.samples import FOLDS
from vhs.training import Plan, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="vhs", description=__doc__)
    parser.add_argument("stage", choices=["base", "fold"])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--maps", type=Path, required=True, help="folder of `python -m vhs.dataset`")
    parser.add_argument("--count", type=int, default=6000, help="maps in that folder")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rendered = RenderedSet(options.maps, options.count)
    common = {"workers": options.workers, "threads": options.threads}
    if options.stage == "base":
        train(rendered, options.output / "base", Plan(options.minutes, seed=options.seed, **common))
        return
    base = options.output / "base" / "weights.pt"
    seed = options.seed + 1 + options.fold
    plan = Plan(options.minutes, 6e-4, seed, left_out=options.fold, start_from=base, **common)
    train(rendered, options.output / f"fold{options.fold}", plan)


if __name__ == "__main__":
    main()
