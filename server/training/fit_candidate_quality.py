"""Fits the coefficients of ``quality.predicted_overlap`` and writes ``quality_table.py``.

    make train

A ridge regression of the Dice coefficient of every candidate of the size search on its features: on phantoms of other
seeds than those that are reported, and on the sts-ibsi training patients where ``IMEASURE_DATA`` has them. Clicks are
the deepest voxel of the lesion and one displaced by about a quarter of its radius.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench.real_cases import sts_cases
from bench.scoring import dice

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation import quality
from imeasure_server.segmentation.candidates import Candidate
from imeasure_server.segmentation.classical import search
from imeasure_server.segmentation.prompts import PointPrompt, Prompts
from imeasure_server.segmentation.usable_image import usable
from phantoms import first_click
from phantoms.suite import suite_member

SEEDS = (1, 2, 3)
RIDGE = 3.0
REAL_WEIGHT = 2.0  # a real patient counts as much as two phantoms
DISPLACEMENT = 0.25  # of the lesion's radius


def main() -> None:
    """Collect, fit, report by cross-validation over cases, write the table."""
    rows = [row for name, weight, volume, truth in _cases() for row in _rows(name, weight, volume, truth)]
    names = np.array([row[0] for row in rows])
    weights = np.array([row[1] for row in rows])
    features = np.array([row[2] for row in rows])
    overlap = np.array([row[3] for row in rows])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    mean[0], scale[0] = 0.0, 1.0
    standard = (features - mean) / scale
    folds = np.array([zlib.crc32(name.split("#")[0].encode()) % 5 for name in names])
    predicted = np.zeros(len(overlap))
    for fold in range(5):
        train = folds != fold
        predicted[~train] = standard[~train] @ _ridge(standard[train], overlap[train], weights[train])
    _report(names, overlap, predicted)
    _write(mean, scale, _ridge(standard, overlap, weights))


def _cases() -> Iterator[tuple[str, float, Volume, BoolArray]]:
    for seed in SEEDS:
        for index in range(50):
            phantom = suite_member(index, seed)
            yield f"phantom {seed}/{index}", 1.0, phantom.volume, phantom.truth
    for name, volume, truth in sts_cases(Path(os.environ.get("IMEASURE_DATA", "../shared/data")), "training"):
        yield name, REAL_WEIGHT, volume, truth


def _rows(name: str, weight: float, volume: Volume, truth: BoolArray) -> list[tuple[str, float, FloatArray, float]]:
    spacing = volume.geometry.spacing
    array, floor = usable(volume.array)
    deepest = first_click(truth, spacing)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    radius = (3 * truth.sum() * volume.geometry.voxel_volume / (4 * np.pi)) ** (1 / 3)
    rows = []
    for turn in range(2):
        click = deepest if turn == 0 else _displaced(deepest, truth, DISPLACEMENT * radius / spacing, rng)
        candidates = search(array, spacing, Prompts(points=(click,)), floor)
        for index, candidate in enumerate(candidates):
            if candidate is not None:
                described = quality.features_of(candidates, index)
                rows.append((f"{name}#{turn}", weight, described, dice(_full(candidate, truth.shape), truth)))
    return rows


def _displaced(click: PointPrompt, truth: BoolArray, sigma: FloatArray, rng: np.random.Generator) -> PointPrompt:
    for _ in range(50):
        voxel = np.rint(np.array(click.position) + rng.normal(size=3) * sigma).astype(int)
        if (voxel >= 0).all() and (voxel < truth.shape).all() and truth[tuple(voxel)]:
            return PointPrompt((float(voxel[0]), float(voxel[1]), float(voxel[2])), True)
    return click


def _full(candidate: Candidate, shape: tuple[int, ...]) -> BoolArray:
    x, y, z = shape
    mask = np.zeros((x, y, z), dtype=bool)
    upsampled = candidate.grid.upsample(candidate.mask.astype(np.float32), (x, y, z))
    mask[candidate.grid.block((x, y, z))] = upsampled > 0.5
    return mask


def _ridge(features: FloatArray, overlap: FloatArray, weights: FloatArray) -> FloatArray:
    weighted = features * weights[:, None]
    penalty = RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(features.T @ weighted + penalty, weighted.T @ overlap))


def _report(names: np.ndarray, overlap: FloatArray, predicted: FloatArray) -> None:
    for kind in ("phantom", "STS"):
        chosen, possible = [], []
        for name in np.unique(names):
            if name.startswith(kind):
                own = names == name
                chosen.append(overlap[own][predicted[own].argmax()])
                possible.append(overlap[own].max())
        if chosen:
            print(f"{kind}: chosen {np.mean(chosen):.3f}, best candidate {np.mean(possible):.3f}, n {len(chosen)}")


def _write(mean: FloatArray, scale: FloatArray, weight: FloatArray) -> None:
    lines = ['"""Coefficients of ``quality.predicted_overlap``: written by `make train`, not by hand."""']
    for name, values in (("MEAN", mean), ("SCALE", scale), ("WEIGHT", weight)):
        lines += [
            "",
            f"{name} = (",
            *(f"    {value:.6g},  # {f}" for value, f in zip(values, quality.FEATURES, strict=True)),
            ")",
        ]
    Path(quality.__file__).with_name("quality_table.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
