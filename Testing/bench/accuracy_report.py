"""The comparison as Markdown, and its summary as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from bench.cases import SETS
from bench.simulation import CORRECTED, ONE_CLICK, PROMPTS, TWO_POINTS
from bench.store import Record
from bench.summary import (
    DICE,
    FIGURES,
    REACH,
    SPOILED,
    Figure,
    Results,
    Summary,
    best,
    paired,
    records_of,
    summarize,
)

DETAILED = (ONE_CLICK, TWO_POINTS, "+3")
OURS = "network"
NOTES = {
    "sts": "Elsewhere on cases of this kind: a sphere on two points 0.70, ConfidenceConnected 0.47; the baseline of "
    "ULS23 reports 0.703 ± 0.240 for one click on mixed lesions. These images end 30 mm beyond the object, as no "
    "clinical scan does; parts of them were hidden at random while the network was trained, so that it could not learn "
    "that.",
}
HOW = """\
- One click is the voxel deepest inside the object, in mm. Two extreme points are the ends of the longest axis on the
  slice of largest area. A correction is the deepest voxel of mask xor truth, positive where the object was missed,
  sent with all clicks before it and the previous mask; a mask that is right is not corrected. The pen draws the true
  outline on the slice of largest area. "Beside" is one click moved so far in a random direction, less where that
  would leave the object.
- Prompts are given on the whole image, or, "module's crop", as the Slicer module sends them: in a crop that grows
  while the mask reaches its border. "Sphere's mask, +1" corrects the sphere on the two points.
- The network and the classical engine read the previous mask; the others answer from all clicks. Grow-cut, random
  walker and graph cut need seeds of what is not the object too: after one click these are the image's border alone.
- An empty mask has Dice 0 and axes of 0 mm. "–": the method does not know such prompts. †2: the method failed in two
  cases, which count as empty masks. **Bold**: the best of the row."""


def page(results: Results, remarks: Iterable[str] = ()) -> str:
    """All tables.

    Args:
        results: of any methods, cases and prompts.
        remarks: sentences about what is missing.
    """
    sections = ["# Accuracy of every method on the same cases and clicks", HOW, *remarks]
    for kind, title in SETS.items():
        if records_of(results, kind, ONE_CLICK) or records_of(results, kind, TWO_POINTS):
            sections.append(_section(results, kind, title))
    failures = _failures(results)
    if failures:
        sections.append("\n".join(["## Failures", "", *failures]))
    return "\n\n".join(sections) + "\n"


def short_page(results: Results) -> str:
    """Mean Dice alone."""
    sections = ["### Accuracy: Dice, mean (worst)"]
    for kind, title in SETS.items():
        table = dice_table(results, kind)
        if table:
            sections.append(f"{title}\n\n{table}")
    return "\n\n".join(sections)


def summary(results: Results) -> dict[str, Any]:
    """Data set → prompt → method → figure → count, middle, worst, low, high; in the tables' units, infinite: None."""
    found: dict[str, Any] = {}
    for kind in SETS:
        for prompt in PROMPTS:
            for method, cases in records_of(results, kind, prompt).items():
                records = list(cases.values())
                figures = {figure.key: _plain(summarize(figure, records)) for figure in FIGURES}
                figures["failures"] = sum(bool(record["error"]) for record in records)
                found.setdefault(kind, {}).setdefault(prompt, {})[method] = figures
    return found


def dice_table(results: Results, kind: str) -> str:
    """Rows of prompts, columns of methods; "" when there is nothing."""
    found = {prompt: records_of(results, kind, prompt) for prompt in PROMPTS}
    methods = [method for method in results if any(method in cases for cases in found.values())]
    rows = [
        _row(prompt, DICE, methods, cases, lambda s: f"{DICE.text(s.middle)} ({s.worst:.2f})")
        for prompt, cases in found.items()
        if cases
    ]
    return _table(["prompt", *methods], rows) if rows else ""


def _section(results: Results, kind: str, title: str) -> str:
    count = max(len(cases) for prompt in PROMPTS for cases in records_of(results, kind, prompt).values())
    parts = [f"## {title}: {count} cases", "Dice, mean (worst):", dice_table(results, kind)]
    if kind in NOTES:
        parts.append(NOTES[kind])
    parts.append(_differences(results, kind))
    if kind == "nodules":
        parts.append(_nodule_axes(results))
    parts.append(
        "Other figures: Dice and surface Dice are means, all others medians of the error without its sign, with the "
        "worst case in brackets; s is processor time on one core:"
    )
    parts.append(_figure_table(results, kind))
    parts.append("Locality of a correction: what it made wrong that was right, mean (worst), and how far it reached:")
    parts.append(_locality_table(results, kind))
    return "\n\n".join(part for part in parts if part)


def _figure_table(results: Results, kind: str) -> str:
    rows = []
    for prompt in DETAILED:
        found = {method: list(cases.values()) for method, cases in records_of(results, kind, prompt).items()}
        columns = {figure: {m: summarize(figure, records) for m, records in found.items()} for figure in FIGURES}
        leaders = {figure: best(figure, summaries) for figure, summaries in columns.items()}
        for method, records in found.items():
            cells = [prompt, method]
            for figure, summaries in columns.items():
                own = summaries[method]
                value = _bold(figure.text(own.middle), method in leaders[figure])
                if figure is DICE:
                    value += f" [{own.low:.3f}, {own.high:.3f}]"
                cells.append(value if figure.key == "seconds" else f"{value} ({figure.text(own.worst)})")
            empty = sum(record["hd95"] is None for record in records)
            rows.append([*cells, f"{empty} of {len(records)}"])
    titles = [f"{figure.title}{', mean [95 % interval] (worst)' if figure is DICE else ''}" for figure in FIGURES]
    return _table(["prompt", "method", *titles, "empty"], rows) if rows else ""


def _differences(results: Results, kind: str) -> str:
    """Network minus each other method, paired by case."""
    others = [method for method in results if method != OURS]
    rows = []
    for prompt in DETAILED:
        found = records_of(results, kind, prompt)
        pairs = [paired(found.get(OURS, {}), found.get(other, {})) for other in others]
        if any(pairs):
            cells = [f"{p.middle:+.3f} [{p.low:+.3f}, {p.high:+.3f}]" if p else "–" for p in pairs]
            rows.append([prompt, *cells])
    if not rows:
        return ""
    table = _table(["prompt", *others], rows)
    return f"Dice of the network minus that of each other method, case by case, mean [95 % interval]:\n\n{table}"


def _nodule_axes(results: Results) -> str:
    share = next(figure for figure in FIGURES if figure.key == "long_axis_share")
    found = records_of(results, "nodules", ONE_CLICK)
    summaries = {method: summarize(share, list(cases.values())) for method, cases in found.items()}
    leaders = best(share, summaries)
    texts = [f"{m} {_bold(share.text(s.middle) + ' %', m in leaders)}" for m, s in summaries.items()]
    return f"Median error of the long axis after one click: {', '.join(texts)}."


def _locality_table(results: Results, kind: str) -> str:
    rows = []
    methods: dict[str, None] = {}
    for prompt in CORRECTED:
        found = {
            method: {case: record for case, record in cases.items() if record["reach"] is not None}
            for method, cases in records_of(results, kind, prompt).items()
        }
        found = {method: cases for method, cases in found.items() if cases}
        methods.update(dict.fromkeys(found))
        for figure in (SPOILED, REACH):
            rows.append((f"{prompt}: {figure.title}", figure, found))
    cells = [_row(title, figure, list(methods), found, _with_worst(figure)) for title, figure, found in rows if found]
    return _table(["correction", *methods], cells) if cells else ""


def _with_worst(figure: Figure) -> Callable[[Summary], str]:
    return lambda found: f"{figure.text(found.middle)} ({figure.text(found.worst)})"


def _row(
    title: str,
    figure: Figure,
    methods: list[str],
    found: Mapping[str, Mapping[str, Record]],
    text: Callable[[Summary], str],
) -> list[str]:
    """One figure of all methods, the best in bold; says where a method has fewer cases or failed."""
    summaries = {method: summarize(figure, list(cases.values())) for method, cases in found.items()}
    leaders = best(figure, summaries)
    most = max(summary.count for summary in summaries.values())
    cells = [title]
    for method in methods:
        if method not in summaries:
            cells.append("–")
            continue
        cell = _bold(text(summaries[method]), method in leaders)
        failed = sum(bool(record["error"]) for record in found[method].values())
        cell += f" †{failed}" if failed else ""
        fewer = summaries[method].count < most
        cells.append(f"{cell}, {summaries[method].count} cases" if fewer else cell)
    return cells


def _failures(results: Results) -> list[str]:
    """One line for each different failure of a method on a case."""
    lines = []
    for method, cases in results.items():
        for case, prompts in cases.items():
            reasons: dict[str, list[str]] = {}
            for prompt, record in prompts.items():
                if record["error"]:
                    reasons.setdefault(record["error"], []).append(prompt)
            lines += [f"- {method}, {case}, {', '.join(where)}: {reason}" for reason, where in reasons.items()]
    return lines


def _bold(text: str, really: bool) -> str:
    return f"**{text}**" if really else text


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(found: Summary) -> dict[str, float | int | None]:
    return {name: value if np.isfinite(value) else None for name, value in asdict(found).items()}
