"""The default engine may not get worse on a fixed set of cases than its shipped weights were measured to be."""

from __future__ import annotations

import json

import pytest

from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine

from .accuracy_cases import FIGURES, cases, figures

SLACK = 0.02


def test_no_case_has_become_worse() -> None:
    engine = create_engine(DEFAULT_ENGINE, "cpu")
    shipped = json.loads(FIGURES.read_text(encoding="utf-8"))
    worse = [
        f"{name}, {prompt}: {reached:.3f} was {shipped[name][prompt]:.3f}"
        for name, volume, truth in cases()
        for prompt, reached in figures(engine, volume, truth).items()
        if reached < shipped[name][prompt] - SLACK
    ]
    assert not worse, "; ".join(worse)


@pytest.mark.parametrize("prompt", ["one click", "two points", "+3"])
def test_the_sample_of_the_readme_is_segmented(prompt: str) -> None:
    """The figures are worth keeping: the real mass of the demo is found from every kind of prompt."""
    assert json.loads(FIGURES.read_text(encoding="utf-8"))["STS_051"][prompt] > 0.7
