"""How well screens are found: held-out simulated photographs, and pictures that show no screen.

PYTHONPATH=server/training:server .venv/bin/python -m vhs_screen.evaluation --output FOLDER

The photographs are made once and kept in the folder; a run that was stopped goes on. The report is Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.screen.corners import ScreenFinder
from imeasure_server.vhs.screen.rectification import NotAScreen, rectify
from vhs_screen.negatives import draw_negative
from vhs_screen.radiographs import Source, draw_radiograph, read_greys, synthetic_thoraxes, varied
from vhs_screen.simulator import photograph, random_size

Picture: TypeAlias = NDArray[np.uint8]
FloatArray: TypeAlias = NDArray[np.float64]

SEED = 7_000_000
"""Of the first held-out photograph; training draws from others."""

HELD_OUT = ("canine-vhs/*.png", "negatives-human-cxr/[8-9a-f]*.png", "negatives-vet-other/*.jpg")
NEGATIVES = (*HELD_OUT, "negatives-human-cxr/[1-7]*.png", "feline-vetxray/*.jpg", "negatives-natural/*.*g")
GOAL = 0.5


@dataclass(frozen=True, eq=False)
class Truth:
    """A held-out photograph: its file, corners (4, 2) in pixels, and the screen's aspect ratio."""

    path: Path
    corners: FloatArray
    aspect: float


def held_out_source(data: Path | None, thoraxes: int = 24) -> Source:
    """Radiographs that training has not seen: real ones where there are some, and synthetic ones."""
    drawn = synthetic_thoraxes(thoraxes, SEED)
    paths = [] if data is None else sorted(path for pattern in HELD_OUT for path in data.glob(pattern))
    pictures = read_greys(paths)

    def source(rng: np.random.Generator) -> Picture:
        if pictures and rng.random() < 0.5:
            return pictures[int(rng.integers(len(pictures)))]
        return drawn[int(rng.integers(len(drawn)))] if drawn else draw_radiograph(rng)

    return source


def held_out_photographs(folder: Path, count: int, source: Source) -> Iterator[Truth]:
    """Photographs of 640 to 4000 pixels, each from its own seed; those that the folder has are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path, truth = folder / f"{number:04}.jpg", folder / f"{number:04}.json"
        if not truth.is_file():
            rng = np.random.default_rng(SEED + number)
            photo = photograph(varied(source(rng), rng), rng, random_size(rng))
            cv2.imwrite(str(path), photo.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 96])
            truth.write_text(json.dumps({"corners": photo.corners.tolist(), "aspect": photo.aspect}))
        known = json.loads(truth.read_text())
        yield Truth(path, np.array(known["corners"]), float(known["aspect"]))


def corner_report(finder: ScreenFinder, truths: Iterator[Truth]) -> str:
    """Corner errors, the aspect ratio's error, and the time."""
    errors, aspects, seconds, missed, count = [], [], [], [], 0
    for truth in truths:
        count += 1
        picture = _read(truth.path)
        started = time.perf_counter()
        corners = finder.find(picture)
        seconds.append(time.perf_counter() - started)
        if corners is None:
            missed.append(truth.path.stem)
            continue
        away = np.hypot(*(corners - truth.corners).T) / np.hypot(*picture.shape[:2]) * 100
        errors.append(away)
        try:
            flat = rectify(picture, corners).picture
        except NotAScreen:
            continue
        aspects.append(abs(flat.shape[1] / flat.shape[0] / truth.aspect - 1) * 100)
    mean, worst = np.mean(errors, 1), np.max(errors, 1)
    lines = [
        f"{count} photographs: {len(missed)} without an answer ({', '.join(missed) or 'none'}).",
        "",
        "| % of the diagonal | mean | median | 95 % | share ≤ 0.5 % of all |",
        "|---|---|---|---|---|",
        _row("mean of the four corners", mean, count),
        _row("worst corner", worst, count),
        "",
        f"Aspect ratio: error {np.mean(aspects):.2f} % in the mean, median {np.median(aspects):.2f} %, "
        f"95 % below {np.percentile(aspects, 95):.2f} %.",
        f"Time: {np.mean(seconds):.2f} s in the mean, at most {np.max(seconds):.2f} s.",
    ]
    return "\n".join(lines)


def negative_report(finder: ScreenFinder, data: Path | None, drawn: int) -> str:
    """In how many pictures without a screen one was found."""
    lines = ["| pictures without a screen | number | false screens |", "|---|---|---|"]
    for pattern in NEGATIVES if data is not None else ():
        paths = sorted(data.glob(pattern)) if data is not None else []
        false = [path.name for path in paths if finder.find(_read(path)) is not None]
        lines.append(f"| {pattern} | {len(paths)} | {len(false)} {' '.join(false)} |")
    source = held_out_source(data)
    false_drawn = 0
    for number in range(drawn):
        rng = np.random.default_rng(SEED + 500_000 + number)
        false_drawn += finder.find(draw_negative(source, rng, int(rng.integers(400, 1400)))) is not None
    lines.append(f"| simulated: radiographs, screenshots, documents, rooms | {drawn} | {false_drawn} |")
    return "\n".join(lines)


def _row(name: str, values: FloatArray, count: int) -> str:
    good = np.count_nonzero(values <= GOAL) / count
    return (
        f"| {name} | {np.mean(values):.3f} | {np.median(values):.3f} | {np.percentile(values, 95):.3f} | {good:.1%} |"
    )


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise OSError(f"{path} cannot be read as a picture.")
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well screens are found.")
    parser.add_argument("--output", type=Path, default=Path("training-output/vhs-screen/evaluation"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder with screen.safetensors and SHA256SUMS")
    parser.add_argument("--count", type=int, default=200, help="photographs of screens")
    parser.add_argument("--negatives", type=int, default=300, help="simulated pictures without a screen")
    parser.add_argument("--only-photographs", action="store_true", help="make them, and measure nothing")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data = options.data if options.data.is_dir() else None
    photographs = held_out_photographs(options.output, options.count, held_out_source(data))
    if options.only_photographs:
        for _ in photographs:
            pass
        return
    finder = ScreenFinder(options.weights)
    report = corner_report(finder, photographs) + "\n\n" + negative_report(finder, data, options.negatives)
    (options.output / "report.md").write_text(report + "\n", encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
