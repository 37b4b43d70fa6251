"""One table: every method, the same cases, the same simulated clicks.

PYTHONPATH=Testing:server .venv/bin/python -m bench.comparison --output bench-output/accuracy

Results are kept in ``results.json`` by method and case: a run that is stopped, or asked for a part, goes on there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from bench.methods import METHODS, Method, Unavailable, Unsuited
from bench.real_cases import mr_cases, sts_cases
from bench.scoring import Scores, score

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.models.registry import CHECKSUMS, WEIGHTS
from imeasure_server.segmentation.prompts import ExtremePair, Point, PointPrompt, Prompts
from phantoms import correction, extreme_points, first_click, lesion_suite, make_lesion_phantom

Case = tuple[str, Volume, BoolArray]
Results = dict[str, dict[str, dict[str, dict[str, float | None]]]]  # method, case, prompts, measure

CORRECTIONS = (1, 3, 5)
JITTERS = (3.0, 6.0)  # mm
NODULES = 12
PHANTOMS = 25
PROMPTS = ("one click", "+1", "+3", "+5", "two points", *(f"{jitter:.0f} mm beside" for jitter in JITTERS))
SETS = {
    "sts": "sts-ibsi validation",
    "nodules": "synthetic lung nodules, 5 to 30 mm",
    "phantoms": "synthetic lesions",
    "mr": "MR crops",
}


def cases_of(kind: str, data: Path) -> Iterator[Case]:
    """The cases of one data set, named ``kind/...``; none when the data is not here."""
    if kind == "sts":
        found: Iterator[Case] = sts_cases(data, "validation")
    elif kind == "mr":
        found = mr_cases(data)
    elif kind == "phantoms":
        found = ((f"{p.description} #{i}", p.volume, p.truth) for i, p in enumerate(lesion_suite(PHANTOMS)))
    else:
        found = _nodules()
    for name, volume, truth in found:
        yield f"{kind}/{name}", volume, truth


def _nodules() -> Iterator[Case]:
    for index, diameter in enumerate(np.geomspace(5.0, 30.0, NODULES)):
        form = ("round", "oval", "lobulated", "spiculated")[index % 4]
        thickness = (1.0, 1.25, 2.0)[index % 3]
        phantom = make_lesion_phantom(
            9000 + index,
            (96, 96, 48),
            (0.7, 0.7, thickness),
            site="lung",
            form=form,
            diameter=float(diameter),
            noise=20.0,
        )
        yield f"{diameter:.0f} mm {form}", phantom.volume, phantom.truth


def evaluate(method: Method, volume: Volume, truth: BoolArray, seed: int) -> dict[str, dict[str, float | None]]:
    """All prompts on one case: figures and seconds; prompts that the method does not know are left out."""
    spacing = volume.geometry.spacing
    results: dict[str, dict[str, float | None]] = {}

    def run(name: str, prompts: Prompts) -> BoolArray | None:
        start = time.perf_counter()
        try:
            mask = method(volume, prompts)
        except Unsuited:
            return None
        seconds = time.perf_counter() - start
        figures: Scores = score(mask, truth, volume.geometry)
        results[name] = {**asdict(figures), "seconds": seconds}
        return mask

    clicks: tuple[PointPrompt, ...] = (first_click(truth, spacing),)
    mask = run("one click", Prompts(points=clicks))
    if mask is not None:
        for order in range(1, max(CORRECTIONS) + 1):
            fix = correction(mask, truth, spacing, order)
            if fix is not None:
                clicks = (*clicks, fix)
            asked = f"+{order}" if order in CORRECTIONS else ""
            mask = run(asked, Prompts(points=clicks, previous_mask=mask))
            assert mask is not None
        results.pop("", None)
    run("two points", Prompts(extreme_pairs=(ExtremePair(*extreme_points(truth, spacing)),)))
    for jitter in JITTERS:
        beside = jittered(first_click(truth, spacing).position, truth, spacing, jitter, seed)
        run(f"{jitter:.0f} mm beside", Prompts(points=(PointPrompt(beside, True),)))
    return results


def jittered(position: Point, truth: BoolArray, spacing: np.ndarray[Any, Any], length: float, seed: int) -> Point:
    """A position ``length`` mm beside another in a random direction, nearer where that is not in the lesion."""
    direction = np.random.default_rng(seed).normal(size=3)
    direction /= np.linalg.norm(direction)
    for share in np.linspace(1.0, 0.0, 21):
        place = np.array(position) + share * length * direction / spacing
        index = np.rint(place).astype(int)
        if (index >= 0).all() and (index < truth.shape).all() and truth[tuple(index)]:
            x, y, z = (float(v) for v in index)
            return x, y, z
    return position


def compare(output: Path, data: Path, methods: list[str], sets: list[str], limit: int | None = None) -> str:
    """Measure what is not yet in ``results.json``, write it and the Markdown.

    Args:
        output: folder, made when missing.
        data: folder of the real images.
        methods: keys of ``METHODS``.
        sets: keys of ``SETS``.
        limit: cases of each set, or None for all.

    Returns:
        The table as Markdown.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    results: Results = stored.get("results", {})
    if stored.get("weights") != _weights_hash():
        results.pop("network", None)
    absent = []
    for name in methods:
        try:
            method = METHODS[name]()
        except Unavailable as error:
            absent.append(f"{name} was not run: {error}")
            continue
        done = results.setdefault(name, {})
        for kind in sets:
            for index, (case, volume, truth) in enumerate(cases_of(kind, data)):
                if index == limit:
                    break
                if case in done:
                    continue
                try:
                    done[case] = evaluate(method, volume, truth, index)
                except Unavailable as error:
                    absent.append(f"{name} was not run: {error}")
                    break
                print(f"{name}: {case}: {_brief(done[case])}", flush=True)
                unfinished = path.with_suffix(".part")
                unfinished.write_text(json.dumps({"weights": _weights_hash(), "results": results}, indent=1) + "\n")
                unfinished.replace(path)
    page = "\n\n".join([markdown(results), *sorted(set(absent))])
    (output / "accuracy.md").write_text(page + "\n", encoding="utf-8")
    return page


def markdown(results: Results) -> str:
    """One table for each data set: mean Dice (worst) for each prompt, and the other figures after one click."""
    pages = []
    for kind, title in SETS.items():
        rows = []
        for method in METHODS:
            found = {case: r for case, r in results.get(method, {}).items() if case.startswith(f"{kind}/")}
            if found:
                rows.append((method, list(found.values())))
        if not rows:
            continue
        pages.append(f"### {title} ({len(rows[0][1])} cases): Dice, mean (worst)\n")
        pages.append(f"| method | {' | '.join(PROMPTS)} |\n|---|{'---|' * len(PROMPTS)}")
        for method, cases in rows:
            cells = []
            for prompt in PROMPTS:
                values = [c[prompt]["dice"] for c in cases if prompt in c]
                scores = np.array([v for v in values if v is not None])
                cells.append(f"{scores.mean():.3f} ({scores.min():.2f})" if len(scores) else "–")
            pages.append(f"| {method} | {' | '.join(cells)} |")
        first = "| method | prompts | Dice, 95 % interval | surface Dice 2 mm | HD95 mm | volume error | long axis | "
        pages.append(f"\n{first}short axis | none found | s |\n|---|---|---|---|---|---|---|---|---|---|")
        pages.extend(
            _figures(method, prompt, [c[prompt] for c in cases if prompt in c])
            for method, cases in rows
            for prompt in ("one click", "two points")
            if any(prompt in c for c in cases)
        )
        pages.append("")
    return "\n".join(pages)


def _figures(method: str, prompt: str, found: list[dict[str, float | None]]) -> str:
    def values(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([f[name] for f in found if f[name] is not None], dtype=np.float64)

    def middle(name: str, factor: float = 1.0, unit: str = "") -> str:
        numbers = np.abs(values(name)) * factor
        return f"{np.median(numbers):.1f}{unit}" if len(numbers) else "–"

    low, high = bootstrap(values("dice"))
    return (
        f"| {method} | {prompt} | {low:.3f}–{high:.3f} | {values('surface_dice').mean():.3f} | {middle('hd95')} | "
        f"{middle('volume_error', 100, ' %')} | {middle('long_axis_error', 1, ' mm')}, "
        f"{middle('long_axis_share', 100, ' %')} | {middle('short_axis_error', 1, ' mm')}, "
        f"{middle('short_axis_share', 100, ' %')} | {sum(f['hd95'] is None for f in found)} | "
        f"{np.median(values('seconds')):.2f} |"
    )


def bootstrap(values: np.ndarray[Any, np.dtype[np.float64]], count: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean, by resampling."""
    picks = np.random.default_rng(0).integers(len(values), size=(count, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _brief(results: dict[str, dict[str, float | None]]) -> str:
    return ", ".join(f"{prompt} {figures['dice']:.2f}" for prompt, figures in results.items())


def _weights_hash() -> str:
    listing = WEIGHTS / CHECKSUMS
    return hashlib.sha256(listing.read_bytes()).hexdigest() if listing.is_file() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare every method on the same cases and clicks.")
    parser.add_argument("--output", type=Path, default=Path("bench-output/accuracy"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--method", action="append", choices=list(METHODS))
    parser.add_argument("--set", action="append", choices=list(SETS), dest="sets")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    chosen = options.method or list(METHODS)
    print(compare(options.output, options.data, chosen, options.sets or list(SETS), options.limit))


if __name__ == "__main__":
    main()
