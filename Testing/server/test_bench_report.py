"""The accuracy bench's statistics are right on known data, and its report shows what is best."""

from __future__ import annotations

import numpy as np
import pytest
from bench.accuracy_report import page, summary
from bench.method_table import METHODS
from bench.simulation import BESIDE, CORRECTED, ONE_CLICK, PROMPTS, TWO_POINTS
from bench.store import Record
from bench.summary import DICE, FIGURES, Results, Summary, best, bootstrap, paired, summarize


def test_the_bootstrap_of_known_data() -> None:
    assert bootstrap(np.full(9, 0.7)) == pytest.approx((0.7, 0.7))
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap(values)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.03)
    assert bootstrap(values) == (low, high)
    assert bootstrap(np.array([1.0, 2.0, np.inf]), by_median=True)[1] == np.inf


def record(dice: float, hd95: float | None = 1.0, error: str = "") -> Record:
    figures = dict.fromkeys((figure.key for figure in FIGURES), 0.0)
    return {**figures, "dice": dice, "hd95": hd95, "error": error, "reach": None, "spoiled": None, "clicks": []}


def test_a_distance_that_cannot_be_told_counts_as_the_worst() -> None:
    distance = next(figure for figure in FIGURES if figure.key == "hd95")
    found = summarize(distance, [record(0.9, 2.0), record(0.9, 4.0), record(0.0, None)])
    assert (found.middle, found.worst) == (4.0, np.inf)
    signed = next(figure for figure in FIGURES if figure.key == "volume_error")
    assert signed.values([{"volume_error": -0.25}, {"volume_error": 0.5}]).tolist() == [25.0, 50.0]


def test_the_difference_is_taken_case_by_case() -> None:
    first = {"a": record(0.9), "b": record(0.5), "c": record(0.1)}
    second = {"a": record(0.8), "b": record(0.4), "d": record(1.0)}
    found = paired(first, second)
    assert found is not None
    assert (found.count, found.middle, found.low, found.high) == pytest.approx((2, 0.1, 0.1, 0.1))
    assert paired(first, {}) is None


def test_the_best_is_what_is_shown_as_best_among_those_with_all_cases() -> None:
    def of(middle: float, count: int = 5) -> Summary:
        return Summary(count, middle, 0.0, 0.0, 0.0)

    distance = next(figure for figure in FIGURES if figure.key == "hd95")
    found = {"a": of(0.8001), "b": of(0.8004), "c": of(0.7), "d": of(0.95, count=3)}
    assert best(DICE, found) == {"a", "b"}
    assert best(distance, {"a": of(3.0), "b": of(1.0), "c": of(np.inf)}) == {"b"}
    assert best(distance, {"a": of(np.inf)}) == set()
    assert best(DICE, {}) == set()


def test_the_report_shows_the_best_of_each_row_and_who_has_fewer_cases() -> None:
    results: Results = {
        "network": {f"nodules/{i}": {ONE_CLICK: record(0.9), TWO_POINTS: record(0.7)} for i in range(3)},
        "other": {f"nodules/{i}": {ONE_CLICK: record(0.8), TWO_POINTS: record(0.75)} for i in range(3)},
        "young": {"nodules/0": {ONE_CLICK: record(1.0)}},
    }
    text = page(results, ["A remark."])
    assert "| one click | **0.900 (0.90)** | 0.800 (0.80) | 1.000 (1.00), 1 cases |" in text
    assert "| two points | 0.700 (0.70) | **0.750 (0.75)** | – |" in text
    assert "| one click | +0.100 [+0.100, +0.100] | -0.100 [-0.100, -0.100] |" in text
    assert "Median error of the long axis after one click: network **0.0 %**" in text
    assert "A remark." in text
    assert "sts-ibsi" not in text
    figures = summary(results)["nodules"][ONE_CLICK]["network"]
    assert figures["dice"] == pytest.approx({"count": 3, "middle": 0.9, "worst": 0.9, "low": 0.9, "high": 0.9})
    assert figures["failures"] == 0


def test_every_prompt_of_the_issue_is_there() -> None:
    assert CORRECTED == ("+1", "+3", "+5")
    assert BESIDE == ("3 mm beside", "6 mm beside")
    assert len(PROMPTS) == 11
    assert list(METHODS) == [
        "network",
        "classical engine",
        "sphere",
        "ConfidenceConnected",
        "random walker",
        "Slicer grow-cut",
        "Histogram+GraphCut",
    ]
