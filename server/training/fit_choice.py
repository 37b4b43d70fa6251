"""Fits the coefficients of ``choice.expected_dice`` to the shipped network and writes ``choice_table.py``.

    make train-choice

A ridge regression of the Dice of every cube's answer to one click on the answer's figures: on phantoms of other seeds
than those that are reported, and on the sts-ibsi training patients where ``IMEASURE_DATA`` has them. Clicks are the
deepest voxel of the lesion and one displaced by about a quarter of its radius. The image of a patient is seen whole
and cut at random, so that its end does not tell the lesion's size.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from bench.real_cases import sts_cases
from bench.scoring import dice

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry, Volume
from imeasure_server.segmentation.network import choice
from imeasure_server.segmentation.network.engine import NetworkEngine, mask_of
from imeasure_server.segmentation.network.views import View
from imeasure_server.segmentation.prompts import PointPrompt, Prompts
from phantoms import first_click, make_lesion_phantom
from phantoms.suite import suite_member

SEEDS = (1, 2)
NODULES = 30
RIDGE = 10.0
DISPLACEMENT = 0.25  # of the lesion's radius
FOLDS = 5
TABLE = Path(choice.__file__).with_name("choice_table.py")

Row = tuple[str, FloatArray, float]


def main() -> None:
    """Collect, fit, report by cross-validation over cases, write the table."""
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as processes:
        rows = [row for group in processes.map(_rows, _cases()) for row in group]
    names = np.array([row[0] for row in rows])
    features = np.array([row[1] for row in rows])
    reached = np.array([row[2] for row in rows])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    mean[0], scale[0] = 0.0, 1.0
    standard = (features - mean) / scale
    folds = np.array([zlib.crc32(name.partition("#")[0].encode()) % FOLDS for name in names])
    predicted = np.zeros(len(reached))
    for fold in range(FOLDS):
        train = folds != fold
        predicted[~train] = standard[~train] @ _ridge(standard[train], reached[train])
    _report(names, reached, predicted)
    _write(mean, scale, _ridge(standard, reached))


def _cases() -> Iterator[tuple[str, Volume, BoolArray]]:
    for seed in SEEDS:
        for index in range(50):
            phantom = suite_member(index, seed)
            yield f"phantom {seed}/{index}", phantom.volume, phantom.truth
    for index, diameter in enumerate(np.geomspace(4.0, 32.0, NODULES)):
        phantom = make_lesion_phantom(
            7000 + index, (96, 96, 48), (0.7, 0.7, (1.0, 1.25, 2.0)[index % 3]), site="lung",
            form=("round", "oval", "lobulated", "spiculated")[index % 4], diameter=float(diameter), noise=20.0,
        )  # fmt: skip
        yield f"nodule {index}", phantom.volume, phantom.truth
    for name, volume, truth in sts_cases(Path(os.environ.get("IMEASURE_DATA", "../shared/data")), "training"):
        yield f"{name} whole", volume, truth
        for turn in range(2):
            yield (f"{name} cut {turn}", *_cut(volume, truth, np.random.default_rng([zlib.crc32(name.encode()), turn])))


def _cut(volume: Volume, truth: BoolArray, rng: np.random.Generator) -> tuple[Volume, BoolArray]:
    """The image with a random part of what surrounds the lesion taken away."""
    found = np.argwhere(truth)
    lower, upper = found.min(axis=0), found.max(axis=0) + 1
    start = np.floor(lower * rng.uniform(0.0, 1.0, 3)).astype(int)
    stop = np.ceil(upper + (np.array(truth.shape) - upper) * rng.uniform(0.0, 1.0, 3)).astype(int)
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    x, y, z = (int(n) for n in stop - start)
    geometry = Geometry.from_axes((0, 0, 0), volume.geometry.spacing, np.eye(3), (x, y, z))
    return Volume(np.ascontiguousarray(volume.array[box]), geometry), truth[box]


@cache
def _engine() -> NetworkEngine:
    return NetworkEngine()


def _rows(case: tuple[str, Volume, BoolArray]) -> list[Row]:
    name, volume, truth = case
    engine, view = _engine(), View(volume)
    deepest = first_click(truth, view.spacing)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    radius = (3 * truth.sum() * volume.geometry.voxel_volume / (4 * np.pi)) ** (1 / 3)
    rows = []
    for turn in range(2):
        click = deepest if turn == 0 else _displaced(deepest, truth, DISPLACEMENT * radius / view.spacing, rng)
        candidates, figures = engine.candidates(view, Prompts(points=(click,)))
        for candidate, row in zip(candidates, figures, strict=True):
            rows.append(
                (f"{name}#{turn}", row, dice(mask_of(view, candidate.answer.cube, candidate.answer.odds), truth))
            )
    return rows


def _displaced(click: PointPrompt, truth: BoolArray, sigma: FloatArray, rng: np.random.Generator) -> PointPrompt:
    for _ in range(50):
        x, y, z = (float(v) for v in np.rint(np.array(click.position) + rng.normal(size=3) * sigma))
        index = (int(x), int(y), int(z))
        if all(0 <= v < n for v, n in zip(index, truth.shape, strict=True)) and truth[index]:
            return PointPrompt((x, y, z), True)
    return click


def _ridge(features: FloatArray, values: FloatArray) -> FloatArray:
    penalty = RIDGE * np.eye(features.shape[1])
    penalty[0, 0] = 0.0
    return np.asarray(np.linalg.solve(features.T @ features + penalty, features.T @ values))


def _report(names: np.ndarray[tuple[int], np.dtype[np.str_]], reached: FloatArray, predicted: FloatArray) -> None:
    """Mean Dice of the chosen cube against the best one, for each kind of case, by cross-validation."""
    print(f"correlation {np.corrcoef(reached, predicted)[0, 1]:.3f}")
    for kind in ("phantom", "nodule", "STS"):
        cases = [names == name for name in dict.fromkeys(names) if name.startswith(kind)]
        if cases:
            chosen = np.mean([reached[rows][predicted[rows].argmax()] for rows in cases])
            best = np.mean([reached[rows].max() for rows in cases])
            print(f"{kind}: chosen {chosen:.3f}, best {best:.3f} ({len(cases)})")


def _write(mean: FloatArray, scale: FloatArray, coefficients: FloatArray) -> None:
    lines = ['"""Coefficients of ``choice.expected_dice``: written by `make train-choice`, not by hand."""\n']
    for name, values in (("MEAN", mean), ("SCALE", scale), ("COEFFICIENTS", coefficients)):
        numbers = "".join(f"    {value:.7g},\n" for value in values)
        lines.append(f"{name} = (\n{numbers})\n")
    TABLE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
