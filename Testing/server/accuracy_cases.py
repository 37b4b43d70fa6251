"""The fixed cases that no change may make worse, and the command that writes what the shipped weights reach on them.

PYTHONPATH=server:Testing:IMeasure .venv/bin/python Testing/server/accuracy_cases.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from bench.scoring import dice

from imeasure_server.imaging.volume import BoolArray, Geometry, Volume
from imeasure_server.segmentation.engine import EmptySegmentationError, SegmentationEngine
from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine
from imeasure_server.segmentation.prompts import ExtremePair, PointPrompt, Prompts
from phantoms import correction, extreme_points, first_click, make_lesion_phantom

FIGURES = Path(__file__).with_name("accuracy_figures.json")
SAMPLE = Path(__file__).parents[2] / "Resources" / "SampleData"
PHANTOMS = {
    "lung nodule, 6 mm": {"site": "lung", "form": "round", "diameter": 6.0, "noise": 20.0},
    "lung nodule, 18 mm": {"site": "lung", "form": "spiculated", "diameter": 18.0, "noise": 20.0},
    "liver lesion": {"site": "liver", "form": "oval", "diameter": 30.0, "contrast": 60.0, "noise": 15.0},
    "kidney lesion": {"site": "kidney", "form": "round", "diameter": 24.0, "contrast": 70.0, "noise": 15.0},
    "node": {"site": "node", "form": "oval", "diameter": 16.0, "noise": 15.0},
    "mass": {"site": "soft tissue", "form": "round", "diameter": 45.0, "contrast": 60.0, "noise": 15.0},
}
REAL = ("STS_005", "STS_025")
"""Validation patients, used where ``IMEASURE_DATA`` has them."""


def cases() -> Iterator[tuple[str, Volume, BoolArray]]:
    """Name, image and truth of each case that can be had here."""
    for name, options in PHANTOMS.items():
        phantom = make_lesion_phantom(4711, (96, 96, 40), (0.8, 0.8, 2.0), **options)
        yield name, phantom.volume, phantom.truth
    yield "STS_051", *_read(SAMPLE, "STS_051")
    folder = Path(os.environ.get("IMEASURE_DATA", "")) / "sts-ibsi"
    for name in REAL:
        if (folder / f"{name}_ct.nii.gz").is_file():
            yield name, *_read(folder, name)


def _read(folder: Path, name: str) -> tuple[Volume, BoolArray]:
    image = sitk.ReadImage(str(folder / f"{name}_ct.nii.gz"))
    mask = sitk.ReadImage(str(folder / f"{name}_ct_gtv.nii.gz"))
    x, y, z = image.GetSize()
    directions = np.array(image.GetDirection()).reshape(3, 3)
    geometry = Geometry.from_axes(image.GetOrigin(), image.GetSpacing(), directions, (x, y, z))
    return Volume(sitk.GetArrayFromImage(image).T, geometry), sitk.GetArrayFromImage(mask).T > 0


def figures(engine: SegmentationEngine, volume: Volume, truth: BoolArray) -> dict[str, float]:
    """Dice after one click, three corrections, and two extreme points."""
    spacing = volume.geometry.spacing

    def answer(prompts: Prompts) -> BoolArray:
        try:
            return engine.segment(volume, prompts)
        except EmptySegmentationError:
            return np.zeros_like(truth)

    clicks: tuple[PointPrompt, ...] = (first_click(truth, spacing),)
    mask = answer(Prompts(points=clicks))
    found = {"one click": dice(mask, truth)}
    for order in (1, 2, 3):
        fix = correction(mask, truth, spacing, order)
        if fix is not None:
            clicks = (*clicks, fix)
            mask = answer(Prompts(points=clicks, previous_mask=mask))
    found["+3"] = dice(mask, truth)
    found["two points"] = dice(answer(Prompts(extreme_pairs=(ExtremePair(*extreme_points(truth, spacing)),))), truth)
    return found


def main() -> None:
    engine = create_engine(DEFAULT_ENGINE, "cpu")
    reached = {
        name: {prompt: round(value, 3) for prompt, value in figures(engine, volume, truth).items()}
        for name, volume, truth in cases()
    }
    missing = [name for name in REAL if name not in reached]
    if missing:
        raise SystemExit(f"IMEASURE_DATA has no {', '.join(missing)}: their figures would be lost.")
    FIGURES.write_text(json.dumps(reached, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(reached, indent=1))


if __name__ == "__main__":
    main()
