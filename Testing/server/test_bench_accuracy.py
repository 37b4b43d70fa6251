"""The accuracy bench measures what it says: figures on masks of known truth, clicks by the rules, nothing twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bench import comparison, method_table
from bench.cases import SETS, Case, Source, some, sources
from bench.classical_methods import confidence_connected, grow_cut, histogram_cut, random_walk
from bench.comparison import Task, compare, key_of, measure
from bench.contact_sheets import draw_sheets
from bench.fingerprints import imported_sources, source_hash
from bench.method_table import Entry
from bench.methods import Method, Unavailable, Unsuited, sphere
from bench.module_client import in_module_crops
from bench.processes import WorkerDied, spread
from bench.scoring import score
from bench.simulation import (
    HANDED_OVER,
    ONE_CLICK,
    PROMPTS,
    TWO_POINTS,
    answers,
    farthest_change,
    jittered,
    outline,
    spoiled_share,
)
from bench.store import Store
from bench.summary import Results
from bench.synthetic_cases import PHANTOMS

from imeasure_server.imaging.volume import BoolArray, Geometry, Volume
from imeasure_server.segmentation.prompts import ExtremePair, PointPrompt, Prompts
from imeasure_server.segmentation.strokes import stroke_mask
from phantoms import correction, extreme_points, first_click
from phantoms.suite import suite_member

SPACING = np.array([1.0, 1.0, 2.5])
GEOMETRY = Geometry.from_axes((5, -7, 9), SPACING, np.diag([-1.0, 1.0, -1.0]), (72, 70, 24))


def block(*, x: tuple[int, int] = (20, 40), y: tuple[int, int] = (20, 50), z: tuple[int, int] = (8, 12)) -> BoolArray:
    mask = np.zeros(GEOMETRY.shape, dtype=bool)
    mask[slice(*x), slice(*y), slice(*z)] = True
    return mask


TRUTH = block()
CASE = Case("sts/block", Volume(np.where(TRUTH, 80, 0).astype(np.int16), GEOMETRY), TRUTH)


def right(volume: Volume, prompts: Prompts) -> BoolArray:
    """What is bright."""
    return np.asarray(volume.array > 40)


class Counting:
    """Half of the object, and how often it was asked."""

    asked = 0

    def __call__(self, volume: Volume, prompts: Prompts) -> BoolArray:
        Counting.asked += 1
        if prompts.strokes:
            raise Unsuited
        mask = right(volume, prompts)
        mask[: mask.shape[0] // 2] = False
        return mask


def failing(volume: Volume, prompts: Prompts) -> BoolArray:
    if prompts.extreme_pairs:
        raise RuntimeError("no pairs today")
    return right(volume, prompts)


def missing() -> Method:
    raise Unavailable("it is not installed.")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[partial[Results]]:
    """A comparison of three methods on one case, in this process."""
    Counting.asked = 0
    table = {
        "network": Entry(lambda: right, lambda: "1", refines=True),
        "half": Entry(Counting, lambda: "1"),
        "failing": Entry(lambda: failing, lambda: "1"),
        "missing": Entry(missing, lambda: "1"),
    }
    for module in (comparison, method_table):
        monkeypatch.setattr(module, "METHODS", table)
    monkeypatch.setattr("bench.contact_sheets.METHODS", table)
    source = Source(CASE.name, "1", lambda: (CASE.volume, CASE.truth))
    for module in ("comparison", "contact_sheets"):
        monkeypatch.setattr(f"bench.{module}.sources", lambda kind, data: [source] if kind == "sts" else [])
        monkeypatch.setattr(f"bench.{module}.source_of", lambda name, data: source)
    clear_caches()
    yield partial(compare, tmp_path, Path("nowhere"), list(table), list(SETS))
    clear_caches()


def clear_caches() -> None:
    for cached in ("_method_version", "_rules_version", "_method", "_source", "_case"):
        getattr(comparison, cached).cache_clear()


# Figures


def test_figures_of_a_block_that_is_shifted() -> None:
    found = score(block(x=(22, 42)), TRUTH, GEOMETRY)
    assert found.dice == pytest.approx(0.9)
    assert found.surface_dice == 1.0
    assert found.hd95 == pytest.approx(2.0)
    assert found.volume_error == found.long_axis_error == found.short_axis_error == 0.0
    assert score(block(x=(24, 44)), TRUTH, GEOMETRY).surface_dice < 1.0


def test_figures_of_a_block_that_is_too_long() -> None:
    found = score(block(y=(20, 60)), TRUTH, GEOMETRY)
    true, own = np.hypot(20, 30), np.hypot(20, 40)
    assert found.volume_error == pytest.approx(1 / 3)
    assert found.long_axis_error == pytest.approx(own - true)
    assert found.long_axis_share == pytest.approx((own - true) / true)
    assert score(TRUTH, block(y=(20, 60)), GEOMETRY).long_axis_error == pytest.approx(true - own)


def test_an_empty_mask_has_no_size_and_no_distance() -> None:
    found = score(np.zeros_like(TRUTH), TRUTH, GEOMETRY)
    assert (found.dice, found.surface_dice, found.hd95) == (0.0, 0.0, None)
    assert (found.volume_error, found.long_axis_share, found.short_axis_share) == (-1.0, 1.0, 1.0)


# Clicks


def test_a_correction_is_the_deepest_voxel_of_all_that_is_wrong() -> None:
    mask = block(x=(24, 60), y=(20, 50))  # 4 voxels missed on one side, 20 too many on the other
    fix = correction(mask, TRUTH, SPACING, 3)
    assert fix is not None
    assert not fix.positive
    assert fix.order == 3
    assert 40 <= fix.voxel[0] < 60
    fix = correction(block(x=(36, 42)), TRUTH, SPACING, 1)
    assert fix is not None
    assert fix.positive


def test_extreme_points_lie_in_one_component_of_the_largest_slice() -> None:
    truth = TRUTH | block(x=(60, 66), y=(50, 56))
    first, second = extreme_points(truth, SPACING)
    assert {first[:2], second[:2]} in ({(20, 20), (39, 49)}, {(20, 49), (39, 20)})
    assert np.argmax(truth.sum(axis=(0, 1))) == first[2] == second[2]


@pytest.mark.parametrize("length", [0.0, 3.0, 6.0, 40.0])
def test_a_jittered_click_stays_inside_and_no_farther_than_asked(length: float) -> None:
    click = first_click(TRUTH, SPACING).position
    for seed in range(20):
        place = jittered(click, TRUTH, SPACING, length, seed)
        assert TRUTH[tuple(int(v) for v in place)]
        rounding = float(np.linalg.norm(SPACING)) / 2
        assert np.linalg.norm((np.array(place) - click) * SPACING) <= length + rounding


def test_the_pen_encloses_the_slice() -> None:
    stroke = outline(TRUTH)
    drawn = stroke_mask((stroke,), GEOMETRY.shape)
    np.testing.assert_array_equal(drawn[:, :, stroke.slice_index], TRUTH[:, :, stroke.slice_index])


def test_a_person_sends_history_and_previous_mask_and_stops_when_nothing_is_wrong() -> None:
    asked: list[Prompts] = []

    def method(volume: Volume, prompts: Prompts) -> BoolArray:
        asked.append(prompts)
        return block(x=(20, 22 + 6 * len(prompts.points))) if len(prompts.points) < 3 else right(volume, prompts)

    given = {answer.prompt: answer for answer in answers(method, CASE, refines=False)}
    chain = [prompts for prompts in asked if prompts.previous_mask is not None]
    assert [len(prompts.points) for prompts in chain] == [2, 3]
    assert [point.order for point in chain[1].points] == [0, 1, 2]
    np.testing.assert_array_equal(chain[1].previous_mask, block(x=(20, 34)))
    assert given["+3"].mask.sum() == given["+5"].mask.sum() == TRUTH.sum()
    assert given["+3"].reach is None
    assert given["+1"].spoiled == 0.0
    assert HANDED_OVER not in given


def test_a_refining_method_gets_the_sphere_of_another() -> None:
    given = {answer.prompt: answer for answer in answers(right, CASE, refines=True)}
    assert tuple(given) == PROMPTS
    assert len(given[HANDED_OVER].clicks) == 1
    assert given[HANDED_OVER].reach is not None


def test_locality_of_an_edit() -> None:
    after = TRUTH.copy()
    after[20:22, 20:50, 8:12] = False
    assert spoiled_share(TRUTH, after, TRUTH) == pytest.approx(0.1)
    assert farthest_change(TRUTH, after, (30.0, 20.0, 8.0), SPACING) == pytest.approx(np.linalg.norm([10, 29, 7.5]))
    assert farthest_change(TRUTH, TRUTH, (0.0, 0.0, 0.0), SPACING) == 0.0


# Methods


@pytest.mark.parametrize("method", [confidence_connected, random_walk, histogram_cut])
def test_classical_methods_find_what_is_bright_and_plain(method: Method) -> None:
    truth = block(z=(6, 16))
    noise = np.random.default_rng(3).normal(0, 6, GEOMETRY.shape)
    volume = Volume((80 * truth + noise).astype(np.int16), GEOMETRY)
    mask = method(volume, Prompts(points=(first_click(truth, SPACING),)))
    assert score(mask, truth, GEOMETRY).dice > 0.8


def test_grow_cut_finds_what_two_points_span() -> None:
    pytest.importorskip("slicer_core")
    truth = block(z=(6, 16))
    volume = Volume((80 * truth).astype(np.int16), GEOMETRY)
    mask = grow_cut(volume, Prompts(extreme_pairs=(ExtremePair(*extreme_points(truth, SPACING)),)))
    assert score(mask, truth, GEOMETRY).dice > 0.8


def test_the_sphere_needs_two_points_alone() -> None:
    pair = ExtremePair((20.0, 30.0, 10.0), (40.0, 30.0, 10.0))
    mask = sphere(CASE.volume, Prompts(extreme_pairs=(pair,)))
    assert np.argwhere(mask).min(axis=0).tolist() == [20, 20, 6]
    assert np.argwhere(mask).max(axis=0).tolist() == [40, 40, 14]
    with pytest.raises(Unsuited):
        sphere(CASE.volume, Prompts(points=(PointPrompt((30.0, 30.0, 10.0), True),)))


def test_the_module_asks_in_crops_that_grow() -> None:
    shape = (200, 180, 60)
    geometry = Geometry.from_axes((5, -7, 9), SPACING, np.diag([-1.0, -1.0, 1.0]), shape)
    truth = np.zeros(shape, dtype=bool)
    truth[20:160, 40:120, 10:40] = True
    crops: list[tuple[int, ...]] = []

    def method(volume: Volume, prompts: Prompts) -> BoolArray:
        crops.append(volume.array.shape)
        (point,) = prompts.points
        assert volume.array[point.voxel] == 80
        return right(volume, prompts)

    mask = in_module_crops(
        method,
        Volume(np.where(truth, 80, 0).astype(np.int16), geometry),
        Prompts(points=(first_click(truth, SPACING),)),
    )
    np.testing.assert_array_equal(mask, truth)
    assert len(crops) > 1
    assert np.prod(crops[0]) < np.prod(crops[-1])

    def nothing(volume: Volume, prompts: Prompts) -> BoolArray:
        return np.zeros(volume.array.shape, dtype=bool)

    assert not in_module_crops(nothing, CASE.volume, Prompts(points=(first_click(TRUTH, SPACING),))).any()


# Keeping results


def test_what_is_stored_is_not_computed_again(bench: partial[Results], tmp_path: Path) -> None:
    results = bench()
    asked = Counting.asked
    assert asked > 5
    assert bench() == results
    assert Counting.asked == asked
    assert results["network"][CASE.name][ONE_CLICK]["dice"] == 1.0
    assert results == json.loads((tmp_path / "results.json").read_text())


def test_a_method_that_has_changed_is_measured_again_alone(
    bench: partial[Results], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench()
    asked = Counting.asked
    monkeypatch.setitem(comparison.METHODS, "half", Entry(Counting, lambda: "2"))
    monkeypatch.setitem(comparison.METHODS, "network", Entry(lambda: right, lambda: "2", refines=True))
    clear_caches()
    bench.func(*bench.args[:2], ["half"], ["sts"])
    assert Counting.asked == 2 * asked
    text = (tmp_path / "accuracy.md").read_text()
    assert "network: 1 cases were measured with another version and are left out." in text
    assert "network" not in json.loads((tmp_path / "results.json").read_text())


def test_new_figures_are_made_of_the_stored_masks(
    bench: partial[Results], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = bench()
    asked = Counting.asked
    monkeypatch.setattr("bench.store.scoring_version", lambda: "another")
    monkeypatch.setattr("bench.store.score", lambda mask, truth, on: score(truth, truth, on))
    again = bench()
    assert Counting.asked == asked
    assert first["half"][CASE.name][ONE_CLICK]["dice"] < again["half"][CASE.name][ONE_CLICK]["dice"] == 1.0
    np.testing.assert_array_equal(Store(tmp_path).masks("network", CASE.name)[ONE_CLICK], TRUTH)


def test_a_failure_is_reported_and_asked_again_on_wish_alone(bench: partial[Results], tmp_path: Path) -> None:
    failed = bench()["failing"][CASE.name][TWO_POINTS]
    assert failed["error"] == "RuntimeError: no pairs today"
    assert failed["dice"] == 0.0
    text = (tmp_path / "accuracy.md").read_text()
    assert "0.000 (0.00) †1" in text
    assert f"- failing, {CASE.name}, two points, two points, module's crop: RuntimeError: no pairs today" in text
    store = Store(tmp_path)
    made = store.changed("failing", CASE.name), store.changed("network", CASE.name)
    bench()
    assert made == (store.changed("failing", CASE.name), store.changed("network", CASE.name))
    bench(retry=True)
    assert store.changed("failing", CASE.name) > made[0]
    assert store.changed("network", CASE.name) == made[1]


def test_a_method_that_cannot_run_is_said_to_be_absent(bench: partial[Results], tmp_path: Path) -> None:
    assert "missing" not in bench()
    assert "missing was not measured: it is not installed." in (tmp_path / "accuracy.md").read_text()


def test_code_that_changes_during_a_run_is_not_measured(bench: partial[Results], tmp_path: Path) -> None:
    source = Source(CASE.name, "1", lambda: (CASE.volume, CASE.truth))
    task = Task("network", CASE.name, key_of("network", source) + "older", tmp_path, Path("nowhere"))
    assert "changed" in measure(task)
    assert Store(tmp_path).masks("network", CASE.name) == {}


def test_sheets_are_drawn_once(bench: partial[Results], tmp_path: Path) -> None:
    bench()
    draw_sheets(tmp_path, Path("nowhere"))
    sheets = sorted((tmp_path / "sheets" / "sts").glob("*.png"))
    assert len(sheets) == 5
    times = [sheet.stat().st_mtime_ns for sheet in sheets]
    draw_sheets(tmp_path, Path("nowhere"))
    assert times == [sheet.stat().st_mtime_ns for sheet in sheets]


def test_a_process_that_dies_takes_only_its_task_with_it() -> None:
    harmless = [signal.SIGURG, signal.SIGWINCH, signal.SIGCHLD]
    results = dict(spread(signal.raise_signal, [*harmless[:2], signal.SIGKILL, harmless[2]], 2))
    assert isinstance(results.pop(signal.SIGKILL), WorkerDied)
    assert results == dict.fromkeys(harmless)


def test_hashes_see_what_code_does(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('"""One."""\nx = 1  # one\n')
    first = source_hash([path])
    path.write_text('"""Two."""\n\nx = 1\n')
    assert source_hash([path]) == first
    path.write_text('"""Two."""\n\nx = 2\n')
    assert source_hash([path]) != first
    package = "imeasure_server.segmentation"
    names = {file.name for file in imported_sources(f"{package}.network.engine", package)}
    assert {"engine.py", "binding.py", "architecture.py"} <= names
    assert "padding.py" not in names


def test_the_phantoms_are_those_that_their_names_say() -> None:
    assert len(sources("nodules", Path("nowhere"))) == 12
    assert sources("sts", Path("nowhere")) == []
    nodules = [source.name for source in some(sources("nodules", Path("nowhere")), 3)]
    assert nodules == ["nodules/5 mm round", "nodules/13 mm lobulated", "nodules/30 mm spiculated"]
    for name in ("liver lobulated 14 mm", "node round 12 mm"):
        site, form, size = name.split()[:3]
        member = suite_member(PHANTOMS[name])
        assert member.description.startswith(f"{site}, {form}, {size} mm")
