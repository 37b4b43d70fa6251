"""Points from heat maps whose truth is drawn: sub-pixel places, and vertebrae that are counted and not averaged."""

from __future__ import annotations

import numpy as np
import pytest

from imeasure_server.vhs.decoding import CHAIN, decode
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH, POINTS, STRIDE

ROWS, COLUMNS = INPUT_HEIGHT // STRIDE, INPUT_WIDTH // STRIDE


def heat(*peaks: tuple[float, float, float]) -> np.ndarray:
    """A heat map with Gaussian peaks (x, y in input pixels, mass)."""
    y, x = (np.mgrid[:ROWS, :COLUMNS] + 0.5) * STRIDE
    total = sum(mass * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 5.0**2)) for px, py, mass in peaks)
    return (total / total.sum()).astype(np.float32)


def chain_at(start: float, step: float) -> list[tuple[float, float]]:
    return [(start + step * link, 80.0 + 2 * link) for link in range(7)]


def maps(chain: list[np.ndarray]) -> np.ndarray:
    channels = [heat((200.0 + 10 * index, 200.0, 1.0)) for index in range(POINTS)]
    for channel, drawn in zip(CHAIN, chain, strict=True):
        channels[channel] = drawn
    return np.array(channels)


def test_a_peak_is_found_to_a_fraction_of_a_cell() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = rng.uniform([30, 30], [INPUT_WIDTH - 30, INPUT_HEIGHT - 30])
        channels = maps([heat((x, y, 1.0)) for x, y in chain_at(60.0, 40.0)])
        channels[0] = heat((*truth, 1.0))
        assert decode(channels)[0] == pytest.approx(truth, abs=0.1 * STRIDE)


def test_two_peaks_are_not_averaged() -> None:
    channels = maps([heat((x, y, 1.0)) for x, y in chain_at(60.0, 40.0)])
    channels[3] = heat((100.0, 100.0, 0.6), (180.0, 100.0, 0.4))
    assert decode(channels)[3] == pytest.approx([100.0, 100.0], abs=0.5)


def test_a_vertebra_that_looks_more_like_its_neighbour_keeps_its_place_in_the_row() -> None:
    """The last heat map prefers the vertebra after; seven equal steps say otherwise."""
    chain = chain_at(60.0, 40.0)
    drawn = [heat((x, y, 1.0)) for x, y in chain]
    drawn[6] = heat((*chain[6], 0.4), (chain[6][0] + 40.0, chain[6][1] + 2, 0.6))
    points = decode(maps(drawn))
    assert points[CHAIN[6]] == pytest.approx(chain[6], abs=0.5)


def test_a_row_that_all_but_one_see_one_vertebra_on_is_followed() -> None:
    chain = chain_at(60.0, 40.0)
    drawn = [heat((x, y, 0.35), (x + 40.0, y + 2, 0.65)) for x, y in chain]
    drawn[0] = heat((*chain[0], 0.55), (chain[0][0] + 40.0, chain[0][1] + 2, 0.45))
    points = decode(maps(drawn))
    assert points[CHAIN[0]] == pytest.approx((100.0, 82.0), abs=0.5)
    steps = np.diff(points[list(CHAIN)], axis=0)
    assert np.allclose(steps, [40.0, 2.0], atol=1.0)


def test_an_empty_heat_map_gives_a_point_all_the_same() -> None:
    flat = np.full((POINTS, ROWS, COLUMNS), 1.0 / (ROWS * COLUMNS), np.float32)
    points = decode(flat)
    assert np.isfinite(points).all()
