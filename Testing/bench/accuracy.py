"""How good the masks are: on 50 phantom lesions with simulated clicks, and on real patients beside simple methods.

PYTHONPATH=Testing:server .venv/bin/python -m bench.accuracy [FILE.json]
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from bench.real_cases import sts_cases
from bench.scoring import dice

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.engine import EmptySegmentationError, SegmentationEngine
from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine
from imeasure_server.segmentation.prompts import ExtremePair, Point, PointPrompt, Prompts
from phantoms import correction, extreme_points, first_click, lesion_suite

PHANTOMS = 50
CORRECTIONS = 3


def run(output: Path | None = None, engine: str = DEFAULT_ENGINE, data: Path | None = None) -> dict[str, Any]:
    """Measure, print Markdown, and write JSON when asked.

    Args:
        output: JSON file to write, or None.
        engine: name of the engine.
        data: folder that holds ``sts-ibsi`` (default: ``IMEASURE_DATA`` or ../shared/data); without it the real
            patients are left out.

    Returns:
        ``{"engine", "phantoms": {...}, "sts_ibsi_validation": {...} or None}``; all figures are Dice coefficients.
    """
    tool = create_engine(engine, "cpu")
    folder = data or Path(os.environ.get("IMEASURE_DATA", "../shared/data"))
    result = {"engine": engine, "phantoms": _phantoms(tool), "sts_ibsi_validation": _real(tool, folder)}
    print(markdown(result))
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def one_click_and_corrections(tool: SegmentationEngine, volume: Volume, truth: BoolArray) -> list[float]:
    """Dice after one click and after each of three corrections, each sent with the history and the previous mask."""
    spacing = volume.geometry.spacing
    clicks: tuple[PointPrompt, ...] = (first_click(truth, spacing),)
    mask = segment_or_nothing(tool, volume, Prompts(points=clicks))
    scores = [dice(mask, truth)]
    for order in range(1, CORRECTIONS + 1):
        click = correction(mask, truth, spacing, order)
        if click is not None:
            clicks = (*clicks, click)
            mask = segment_or_nothing(tool, volume, Prompts(points=clicks, previous_mask=mask))
        scores.append(dice(mask, truth))
    return scores


def two_clicks(tool: SegmentationEngine, volume: Volume, truth: BoolArray) -> float:
    """Dice from the ends of the longest axis."""
    first, second = extreme_points(truth, volume.geometry.spacing)
    return dice(segment_or_nothing(tool, volume, Prompts(extreme_pairs=(ExtremePair(first, second),))), truth)


def segment_or_nothing(tool: SegmentationEngine, volume: Volume, prompts: Prompts) -> BoolArray:
    """The engine's mask, or an empty one when it says that there is none."""
    try:
        return tool.segment(volume, prompts)
    except EmptySegmentationError:
        return np.zeros(volume.geometry.shape, dtype=bool)


def sphere(volume: Volume, first: Point, second: Point) -> BoolArray:
    """The ball whose diameter runs from one point to the other."""
    spacing = volume.geometry.spacing
    centre = (np.array(first) + second) / 2
    radius = float(np.linalg.norm((np.array(first) - second) * spacing)) / 2
    axes = [((np.arange(n) - c) * s) ** 2 for n, c, s in zip(volume.geometry.shape, centre, spacing, strict=True)]
    return np.asarray(axes[0][:, None, None] + axes[1][None, :, None] + axes[2] <= radius**2)


def confidence_connected(volume: Volume, first: Point, second: Point) -> BoolArray:
    """SimpleITK's region growing from the middle of two points, with its usual parameters, on a smoothed image."""
    image = sitk.GetImageFromArray(volume.array.astype(np.float32).T)
    image.SetSpacing([float(s) for s in volume.geometry.spacing])
    smooth = sitk.CurvatureFlow(image, timeStep=0.06, numberOfIterations=5)
    middle = [int(v) for v in np.rint((np.array(first) + second) / 2)]
    grown = sitk.ConfidenceConnected(
        smooth, [middle], numberOfIterations=2, multiplier=2.0, initialNeighborhoodRadius=2, replaceValue=1
    )
    return np.asarray(sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(grown, [1, 1, 1])).T > 0)


def markdown(result: dict[str, Any]) -> str:
    """The figures as two small tables."""
    phantoms, real = result["phantoms"], result["sts_ibsi_validation"]
    steps = phantoms["mean_after_corrections"]
    lines = [
        f"### Accuracy of `{result['engine']}` (mean Dice)",
        "",
        f"| {phantoms['count']} phantom lesions | one click | +1 | +2 | +3 corrections | two extreme points |",
        "|---|---|---|---|---|---|",
        f"| mean | {' | '.join(f'{s:.3f}' for s in steps)} | {phantoms['mean_two_clicks']:.3f} |",
        f"| worst | {' | '.join(f'{s:.2f}' for s in phantoms['worst_after_corrections'])} | "
        f"{phantoms['worst_two_clicks']:.2f} |",
        "",
    ]
    if real is None:
        return "\n".join([*lines, "The sts-ibsi patients are not here: set IMEASURE_DATA."])
    steps = real["mean_after_corrections"]
    return "\n".join(
        [
            *lines,
            f"| {real['count']} sts-ibsi validation patients | mean Dice |",
            "|---|---|",
            f"| one click | {steps[0]:.3f} |",
            f"| one click, three corrections | {steps[-1]:.3f} |",
            f"| two extreme points | {real['mean_two_clicks']:.3f} |",
            f"| sphere on the two points | {real['mean_sphere']:.3f} |",
            f"| SimpleITK ConfidenceConnected from their middle | {real['mean_confidence_connected']:.3f} |",
        ]
    )


def _phantoms(tool: SegmentationEngine) -> dict[str, Any]:
    cases = []
    for phantom in lesion_suite(PHANTOMS):
        steps = one_click_and_corrections(tool, phantom.volume, phantom.truth)
        pair = two_clicks(tool, phantom.volume, phantom.truth)
        cases.append({"case": phantom.description, "after_corrections": steps, "two_clicks": pair})
    return _summary(cases)


def _real(tool: SegmentationEngine, data: Path) -> dict[str, Any] | None:
    cases = []
    for name, volume, truth in sts_cases(data, "validation"):
        ends = extreme_points(truth, volume.geometry.spacing)
        cases.append(
            {
                "case": name,
                "after_corrections": one_click_and_corrections(tool, volume, truth),
                "two_clicks": two_clicks(tool, volume, truth),
                "sphere": dice(sphere(volume, *ends), truth),
                "confidence_connected": dice(confidence_connected(volume, *ends), truth),
            }
        )
    if not cases:
        return None
    summary = _summary(cases)
    for key in ("sphere", "confidence_connected"):
        summary[f"mean_{key}"] = float(np.mean([case[key] for case in cases]))
    return summary


def _summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    steps = np.array([case["after_corrections"] for case in cases])
    pairs = np.array([case["two_clicks"] for case in cases])
    return {
        "count": len(cases),
        "mean_after_corrections": [float(v) for v in steps.mean(axis=0)],
        "worst_after_corrections": [float(v) for v in steps.min(axis=0)],
        "mean_two_clicks": float(pairs.mean()),
        "worst_two_clicks": float(pairs.min()),
        "cases": cases,
    }


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
