"""From the figures of single cases to those of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from bench.store import Record
from numpy.typing import NDArray

Results = dict[str, dict[str, dict[str, Record]]]
"""Method → case → prompt → figures."""

Values = NDArray[np.float64]
RESAMPLES = 5000


@dataclass(frozen=True)
class Figure:
    """One kind of figure.

    Attributes:
        key: in a record.
        title: of a column.
        digits: after the point.
        factor: from the record's unit to the shown one; records' signs are not shown.
        higher_is_better: else 0 is best.
        by_median: a data set's figure is the median of its cases, else their mean.
    """

    key: str
    title: str
    digits: int
    factor: float = 1.0
    higher_is_better: bool = False
    by_median: bool = True

    def values(self, records: list[Record]) -> Values:
        """The figures of cases as they are shown; one that cannot be told, of an empty mask, is infinite."""
        found = [record[self.key] for record in records]
        return np.array([np.inf if v is None else abs(v) * self.factor for v in found], dtype=np.float64)

    def text(self, value: float) -> str:
        return f"{value:.{self.digits}f}" if np.isfinite(value) else "∞"


DICE = Figure("dice", "Dice", 3, higher_is_better=True, by_median=False)
FIGURES = (
    DICE,
    Figure("surface_dice", "surface Dice 2 mm", 3, higher_is_better=True, by_median=False),
    Figure("hd95", "HD95, mm", 1),
    Figure("volume_error", "volume, %", 1, 100.0),
    Figure("long_axis_error", "long axis, mm", 1),
    Figure("long_axis_share", "long axis, %", 1, 100.0),
    Figure("short_axis_error", "short axis, mm", 1),
    Figure("short_axis_share", "short axis, %", 1, 100.0),
    Figure("seconds", "s", 2),
)
SPOILED = Figure("spoiled", "spoiled, % of the object", 1, 100.0, by_median=False)
REACH = Figure("reach", "farthest change, mm from the click", 0)


@dataclass(frozen=True)
class Summary:
    """One figure of one method and prompt on a data set.

    Attributes:
        count: of cases.
        middle: mean or median, as the figure is read.
        worst: of any case.
        low, high: 95 % bootstrap interval of ``middle``.
    """

    count: int
    middle: float
    worst: float
    low: float
    high: float


def records_of(results: Results, kind: str, prompt: str) -> dict[str, dict[str, Record]]:
    """Method → case → figures of one data set and prompt; only methods that have any."""
    found = {
        method: {
            case: prompts[prompt]
            for case, prompts in cases.items()
            if case.startswith(f"{kind}/") and prompt in prompts
        }
        for method, cases in results.items()
    }
    return {method: cases for method, cases in found.items() if cases}


def summarize(figure: Figure, records: list[Record]) -> Summary:
    """The figure of a data set; ``records`` is not empty."""
    values = figure.values(records)
    middle = np.median if figure.by_median else np.mean
    worst = values.min() if figure.higher_is_better else values.max()
    low, high = bootstrap(values, figure.by_median)
    return Summary(len(values), float(middle(values)), float(worst), low, high)


def bootstrap(values: Values, by_median: bool = False) -> tuple[float, float]:
    """95 % interval of the mean, or of the median, by resampling cases; the same values give the same interval."""
    picks = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    drawn = values[picks]
    middles = np.median(drawn, axis=1) if by_median else drawn.mean(axis=1)
    low, high = np.percentile(middles, (2.5, 97.5), method="nearest")  # in between, infinities are not numbers
    return float(low), float(high)


def paired(first: Mapping[str, Record], second: Mapping[str, Record]) -> Summary | None:
    """The Dice of the first method minus that of the second on the cases of both; None when there are none."""
    cases = sorted(first.keys() & second.keys())
    if not cases:
        return None
    difference = DICE.values([first[case] for case in cases]) - DICE.values([second[case] for case in cases])
    low, high = bootstrap(difference)
    return Summary(len(cases), float(difference.mean()), float(difference.min()), low, high)


def best(figure: Figure, summaries: Mapping[str, Summary]) -> set[str]:
    """The methods with the best figure, as it is shown, of those that were measured on most cases."""
    most = max((summary.count for summary in summaries.values()), default=0)
    shown = {
        method: round(summary.middle, figure.digits)
        for method, summary in summaries.items()
        if summary.count == most and np.isfinite(summary.middle)
    }
    if not shown:
        return set()
    top = max(shown.values()) if figure.higher_is_better else min(shown.values())
    return {method for method, value in shown.items() if value == top}
