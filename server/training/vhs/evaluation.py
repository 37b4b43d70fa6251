"""Measure the shipped ensemble on synthetic radiographs, real ones and an operator's: ``python -m vhs.evaluation``.

Writes ``vhs.json`` and ``vhs.md`` in the output folder.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from vhs_screen.simulator import photograph, random_size

from imeasure_server.imaging.pictures import read_picture
from imeasure_server.imaging.radiograph_dicom import read_radiograph_dicom
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.analysis import grey, measure
from imeasure_server.vhs.ensemble import LandmarkEnsemble
from imeasure_server.vhs.results import confidence_of
from imeasure_server.vhs.score import score_landmarks
from imeasure_server.vhs.screen.corners import ScreenFinder
from imeasure_server.vhs.screen.rectification import NotAScreen, rectify
from vhs.agreement import Case, summary
from vhs.anatomy import sample_thorax
from vhs.attenuation import FloatArray
from vhs.exposure import expose
from vhs.operator_data import MarkedRadiograph, read_marked

FIRST_TEST_SEED = 1_000_000

Picture = NDArray[np.uint8]


def synthetic_radiographs(count: int) -> Iterator[tuple[Picture, FloatArray]]:
    """Held-out dogs, a third of them facing right and a tenth upside down, with their landmarks in pixels."""
    for index in range(count):
        rng = np.random.default_rng(FIRST_TEST_SEED + index)
        thorax = sample_thorax(rng)
        picture, points = expose(thorax.attenuation, rng, thorax.unit), thorax.landmarks.copy()
        height, width = picture.shape
        if rng.random() < 1 / 3:
            picture, points[:, 0] = picture[:, ::-1], width - points[:, 0]
        if rng.random() < 0.1:
            picture, points = picture[::-1, ::-1], np.array([width, height]) - points
        yield np.ascontiguousarray(picture), points


def examine(ensemble: LandmarkEnsemble, picture: Picture, truth: FloatArray, vhs: float | None = None) -> Case:
    """One radiograph measured beside its truth."""
    height, width = picture.shape
    measured = measure(ensemble.predict(picture), width, height)
    known = score_landmarks(np.where(np.isnan(truth), 0.0, truth))
    score, vlas_known = measured.score, not np.isnan(truth).any()
    return Case(
        truth,
        measured.points,
        math.hypot(width, height),
        (known.long_axis + known.short_axis if vhs is None else vhs, None if score is None else score.vhs),
        (known.vlas if vlas_known else None, None if score is None else score.vlas),
        measured.spread,
        confidence_of(measured.spread),
    )


def examine_marked(ensemble: LandmarkEnsemble, marked: MarkedRadiograph) -> Case:
    """An operator's radiograph; the VHS that was published with it is the truth where there is one."""
    return examine(ensemble, marked.picture(), marked.landmarks, marked.vhs)


VARIATIONS: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda p: p,
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "upside down": lambda p: np.ascontiguousarray(p[::-1, ::-1]),
    "turned by 4°": lambda p: _rotated(p, 4),
    "turned by -4°": lambda p: _rotated(p, -4),
    "cropped by 4 % a side": lambda p: _cropped(p, 0.04),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8),
    "brighter (gamma 0.8)": lambda p: _gamma(p, 0.8),
    "darker (gamma 1.25)": lambda p: _gamma(p, 1.25),
    "less contrast": lambda p: (p * 0.7 + 30).astype(np.uint8),
    "JPEG of quality 40": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0),
}


def consistency(ensemble: LandmarkEnsemble, picture: Picture) -> dict[str, float | None]:
    """The VHS of one radiograph in every variation that must not change it."""
    answers: dict[str, float | None] = {}
    for name, vary in VARIATIONS.items():
        changed = vary(picture)
        measured = measure(ensemble.predict(changed), changed.shape[1], changed.shape[0])
        answers[name] = None if measured.score is None else measured.score.vhs
    return answers


def photographed(ensemble: LandmarkEnsemble, finder: ScreenFinder, count: int) -> dict[str, float]:
    """Drawn photographs of held-out radiographs on a screen, against the same radiographs flat."""
    changes, found = [], 0
    for number, (picture, _) in enumerate(synthetic_radiographs(count)):
        rng = np.random.default_rng(FIRST_TEST_SEED + number)
        photo = photograph(picture, rng, random_size(rng)).picture
        corners = finder.find(photo)
        if corners is None:
            continue
        try:
            flat = grey(rectify(photo, corners).picture)
        except NotAScreen:
            continue
        found += 1
        scores = [measure(ensemble.predict(p), p.shape[1], p.shape[0]).score for p in (picture, flat)]
        values = [None if score is None else score.vhs for score in scores]
        if values[0] is not None and values[1] is not None:
            changes.append(abs(values[1] - values[0]))
    if not changes:
        raise ValueError("No photograph was measured: there is nothing to summarise.")
    return {
        "photographs": float(count),
        "screens rectified, share": found / count,
        "measured both flat and photographed, share": len(changes) / count,
        "median change of VHS": float(np.median(changes)),
        "VHS within 0.3 of the flat one's, share": float((np.array(changes) <= 0.3).mean()),
    }


def real_radiographs(folder: Path) -> dict[str, Picture]:
    """The real radiographs of a folder by file name; only their look is known, nobody has marked them."""
    pictures = {}
    for path in sorted(folder.glob("*")):
        if path.suffix == ".dcm":
            pictures[path.name] = grey(read_radiograph_dicom(path)[0])
        elif path.suffix in (".png", ".jpg"):
            pictures[path.name] = grey(read_picture(path.read_bytes()))
    return pictures


def _rotated(picture: Picture, degrees: float) -> Picture:
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(picture, matrix, (width, height)).astype(np.uint8)


def _cropped(picture: Picture, share: float) -> Picture:
    rows, columns = round(picture.shape[0] * share), round(picture.shape[1] * share)
    return np.ascontiguousarray(picture[rows:-rows, columns:-columns])


def _gamma(picture: Picture, gamma: float) -> Picture:
    return (255 * (picture / 255.0) ** gamma).astype(np.uint8)


def _table(figures: dict[str, float]) -> list[str]:
    lines = ["| figure | value |", "|---|---|"]
    for name, value in figures.items():
        share = name.endswith((", share", "measured", "class accuracy", "within 0.5"))
        lines.append(f"| {name} | {f'{100 * value:.0f} %' if share else f'{value:.3g}'} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="vhs.evaluation", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--synthetic", type=int, default=200, help="held-out synthetic radiographs")
    parser.add_argument("--photographs", type=int, default=0, help="drawn photographs of screens")
    parser.add_argument("--real", type=Path, help="folder of real radiographs, for self-consistency")
    parser.add_argument("--marked", type=Path, help="your own: a CSV, or a folder in the six-point format")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ensemble = LandmarkEnsemble.load(WEIGHTS, "cpu")
    results: dict[str, object] = {}
    lines: list[str] = []
    if options.synthetic:
        cases = [examine(ensemble, picture, truth) for picture, truth in synthetic_radiographs(options.synthetic)]
        results["synthetic"] = summary(cases)
        results["spreads"] = [[case.spread, case.vhs[0], case.vhs[1]] for case in cases]
        lines += ["## Synthetic radiographs, held out", "", *_table(summary(cases)), ""]
    if options.photographs:
        figures = photographed(ensemble, ScreenFinder(WEIGHTS), options.photographs)
        results["photographs"] = figures
        lines += ["## Drawn photographs of screens", "", *_table(figures), ""]
    if options.marked:
        own = summary([examine_marked(ensemble, marked) for marked in read_marked(options.marked)])
        results["marked"] = own
        lines += ["## Your radiographs", "", *_table(own), ""]
    if options.real:
        answers = {name: consistency(ensemble, picture) for name, picture in real_radiographs(options.real).items()}
        results["real"] = answers
        lines += ["## Real radiographs: the same one in other forms (nobody has marked them)", ""]
        lines += [f"| VHS of | {' | '.join(answers)} |", "|---" * (len(answers) + 1) + "|"]
        for variation in VARIATIONS:
            row = [answer[variation] for answer in answers.values()]
            lines.append(f"| {variation} | {' | '.join('none' if v is None else f'{v:.2f}' for v in row)} |")
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "vhs.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    (options.output / "vhs.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
