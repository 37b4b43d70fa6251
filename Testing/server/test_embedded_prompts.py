"""Deepgrow and the SAM-style prompts on lesions whose truth is known, and the rule that prompts bind."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeasure_server.imaging.stored_image import StoredVolume
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.inference import ModelInputError, ModelInputs, Point, Polyline, PromptBox
from imeasure_server.segmentation.areas import line_voxels
from imeasure_server.segmentation.engine import (
    ConflictingPromptsError,
    EmptySegmentationError,
    OutsideVolumeError,
    SegmentationCancelled,
    SegmentationError,
)

from .embedded_cases import Mask, as_point, centre_of, dice, holds, infer, lesion, mask_of, mirrored, model
from .segmentation_cases import random_volume, random_voxel

SEEDS = (1, 4)


def slice_box(truth: Mask, axis: int, index: int, positive: bool = True) -> PromptBox:
    """The box around a truth on one slice."""
    places = np.argwhere(np.moveaxis(truth, axis, 0)[index])
    lower, upper = (np.insert(edge.astype(float), axis, index) for edge in (places.min(axis=0), places.max(axis=0)))
    return PromptBox(as_point(lower), as_point(upper), positive)


def outline(truth: Mask, axis: int, index: int, positive: bool = True) -> Polyline:
    """An ellipse inside a truth's box on one slice, as a hand would draw it."""
    box = slice_box(truth, axis, index)
    lower, upper = np.array(box.lower), np.array(box.upper)
    others = [a for a in range(3) if a != axis]
    points = []
    for angle in np.linspace(0, 2 * np.pi, 28):
        point = (lower + upper) / 2
        point[others] += (upper - lower)[others] / 2 * 0.9 * np.array([np.cos(angle), np.sin(angle)])
        points.append(as_point(point))
    return Polyline(tuple(points), positive)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["segmentation", "deepgrow_3d"])
def test_a_click_finds_the_lesion(name: str, seed: int, turned: bool) -> None:
    case = lesion(seed, turned)
    click = centre_of(case.truth)
    mask = mask_of(name, case.volume, foreground=(click,))
    assert holds(mask, click)
    assert dice(mask, case.truth) > 0.75


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_order_in_which_voxels_are_stored_changes_little(axis: int) -> None:
    case = lesion(1)
    volume, truth = mirrored(case.volume, case.truth, axis)
    before = mask_of("segmentation", case.volume, foreground=(centre_of(case.truth),))
    click = np.array(centre_of(case.truth))
    click[axis] = case.truth.shape[axis] - 1 - click[axis]
    after = mask_of("segmentation", volume, foreground=(as_point(click),))
    assert dice(after, truth) > 0.75
    assert dice(np.flip(after, axis), before) > 0.9


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_box_on_one_slice_finds_the_lesion_and_holds_it_there(seed: int, axis: int) -> None:
    case = lesion(seed)
    index = int(centre_of(case.truth)[axis])
    box = slice_box(case.truth, axis, index)
    mask = mask_of("segmentation", case.volume, boxes=(box,))
    here = np.moveaxis(mask, axis, 0)[index]
    places = np.argwhere(here)
    others = [a for a in range(3) if a != axis]
    assert (places.min(axis=0) >= np.array(box.lower)[others]).all()
    assert (places.max(axis=0) <= np.array(box.upper)[others]).all()
    assert dice(here, np.moveaxis(case.truth, axis, 0)[index]) > 0.85
    assert dice(mask, case.truth) > 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_a_box_of_several_slices_holds_the_object(seed: int) -> None:
    case = lesion(seed, turned=True)
    places = np.argwhere(case.truth)
    box = PromptBox(as_point(places.min(axis=0)), as_point(places.max(axis=0)))
    mask = mask_of("segmentation", case.volume, boxes=(box,))
    found = np.argwhere(mask)
    assert (found.min(axis=0) >= places.min(axis=0)).all()
    assert (found.max(axis=0) <= places.max(axis=0)).all()
    assert dice(mask, case.truth) > 0.8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_all_that_a_lasso_encloses_is_the_object(axis: int) -> None:
    case = lesion(4)
    index = int(centre_of(case.truth)[axis])
    lasso = outline(case.truth, axis, index)
    mask = mask_of("segmentation", case.volume, lassos=(lasso,))
    assert dice(np.moveaxis(mask, axis, 0)[index], np.moveaxis(case.truth, axis, 0)[index]) > 0.8
    assert dice(mask, case.truth) > 0.7


def test_scribbles_are_what_they_say() -> None:
    case = lesion(1)
    x, y, z = centre_of(case.truth)
    inside = Polyline(((x - 4, y, z), (x + 4, y + 2, z)))
    places = np.argwhere(case.truth[:, :, int(z)])
    beside = Polyline(((float(places[:, 0].max()) + 4, y - 6, z), (float(places[:, 0].max()) + 4, y + 6, z)), False)
    mask = mask_of("segmentation", case.volume, scribbles=(inside, beside))
    shape = case.volume.geometry.shape
    assert mask[tuple(line_voxels(inside.points, shape).T)].all()
    assert not mask[tuple(line_voxels(beside.points, shape).T)].any()
    assert dice(mask, case.truth) > 0.75


@pytest.mark.parametrize("flat", [True, False])
def test_what_a_negative_box_covers_is_no_object(flat: bool) -> None:
    case = lesion(1)
    x, y, z = centre_of(case.truth)
    upper = (x + 40, y + 40, z if flat else z + 3)
    box = PromptBox((x + 3, y - 20, z if flat else z - 3), upper, False)
    mask = mask_of("segmentation", case.volume, foreground=((x - 2, y, z),), boxes=(box,))
    first, last = (int(z), int(z) + 1) if flat else (int(z) - 3, int(z) + 4)
    assert not mask[int(x) + 3 : int(x) + 41, int(y) - 20 : int(y) + 41, first:last].any()
    assert mask[int(x) - 2, int(y), int(z)]
    left = case.truth & ~(np.arange(mask.shape[0]) >= x + 3)[:, None, None]
    assert (mask & left).sum() > 0.6 * left.sum()


def test_a_negative_lasso_cuts_off_and_a_click_in_it_stays() -> None:
    case = lesion(4)
    x, y, z = centre_of(case.truth)
    cut = Polyline(((x + 2, y - 9, z), (x + 12, y - 9, z), (x + 12, y + 9, z), (x + 2, y + 9, z)), False)
    kept = (x + 3, y, z)
    mask = mask_of("segmentation", case.volume, foreground=((x - 2, y, z), kept), lassos=(cut,))
    assert holds(mask, kept)
    assert holds(mask, (x - 2, y, z))
    inside = mask[int(x) + 4 : int(x) + 12, int(y) - 8 : int(y) + 9, int(z)]
    assert inside.mean() < 0.05


def test_a_label_is_refined_near_new_prompts_and_nowhere_else() -> None:
    case = lesion(1)
    label = case.truth.astype(np.uint8) * 7
    places = np.argwhere(case.truth)
    top = places[:, 0] > np.percentile(places[:, 0], 75)
    label[tuple(places[top].T)] = 0
    missed = centre_of(case.truth & (label == 0))
    other = np.zeros_like(label)
    other[3:6, 3:6, 2:4] = 1  # another part of the label, far away
    mask = mask_of("segmentation", case.volume, label=label | other, foreground=(missed,))
    assert holds(mask, missed)
    assert mask[3:6, 3:6, 2:4].all()
    assert dice(mask & (other == 0), case.truth) > dice(label > 0, case.truth)
    assert (mask & (label > 0)).sum() == (label > 0).sum()


def test_a_label_alone_comes_back_as_it_is() -> None:
    case = lesion(1)
    mask = mask_of("segmentation", case.volume, label=case.truth.astype(np.uint8))
    assert np.array_equal(mask, case.truth)


def test_a_box_adds_to_a_label_what_it_lacks() -> None:
    case = lesion(4)
    label = np.zeros(case.truth.shape, dtype=np.uint8)
    label[2:5, 2:5, 1:3] = 1
    box = slice_box(case.truth, 2, int(centre_of(case.truth)[2]))
    mask = mask_of("segmentation", case.volume, label=label, boxes=(box,))
    assert mask[2:5, 2:5, 1:3].all()
    mask[2:5, 2:5, 1:3] = False
    assert dice(mask, case.truth) > 0.7


def test_all_kinds_of_prompts_at_once() -> None:
    case = lesion(1, turned=True)
    x, y, z = centre_of(case.truth)
    inputs: dict[str, Any] = {
        "foreground": ((x, y, z), (x, y + 2, z + 1)),
        "background": ((4.0, 4.0, 4.0),),
        "boxes": (slice_box(case.truth, 2, int(z)), PromptBox((0, 0, 0), (3, 60, 20), False)),
        "lassos": (outline(case.truth, 2, int(z) + 1),),
        "scribbles": (Polyline(((x - 2, y, z), (x + 2, y, z))), Polyline(((2, 2, z), (2, 50, z)), False)),
    }
    mask = mask_of("segmentation", case.volume, **inputs)
    assert dice(mask, case.truth) > 0.65
    assert all(holds(mask, point) for point in inputs["foreground"])


@given(st.integers(0, 100_000))
@settings(max_examples=10, deadline=None)
def test_prompts_bind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume, blob = random_volume(rng)
    inputs = random_inputs(rng, blob)
    try:
        mask = model("segmentation").infer(volume, inputs).mask
    except SegmentationError:  # a random prompt may leave nothing
        return
    assert mask is not None
    assert mask.shape == blob.shape
    assert all(holds(mask > 0, point) for point in inputs.foreground)
    assert not any(holds(mask > 0, point) for point in inputs.background)


def random_inputs(rng: np.random.Generator, blob: Mask) -> ModelInputs:
    """Any mixture of prompts, half of them where they should not be."""

    def near(mask: Mask) -> Point:
        return as_point(np.array(random_voxel(rng, mask)) + rng.uniform(-0.4, 0.4, 3))

    foreground = tuple(near(blob) for _ in range(int(rng.integers(1, 4))))
    background = tuple(near(~blob if rng.random() < 0.7 else blob) for _ in range(int(rng.integers(0, 3))))
    taken = {tuple(np.floor(np.array(p) + 0.5)) for p in foreground}
    background = tuple(p for p in background if tuple(np.floor(np.array(p) + 0.5)) not in taken)
    boxes, lassos, scribbles = [], [], []
    for kind in rng.choice(["flat", "box", "lasso", "scribble", "none"], 2):
        positive = bool(rng.random() < 0.5)
        first, second = np.array(random_voxel(rng, blob)), np.array(random_voxel(rng, blob))
        lower, upper = np.minimum(first, second).astype(float), np.maximum(first, second).astype(float)
        axis = int(rng.integers(0, 3))
        if kind == "flat":
            upper[axis] = lower[axis]
        if kind in ("flat", "box"):
            boxes.append(PromptBox(as_point(lower), as_point(upper), positive))
        elif kind == "scribble":
            scribbles.append(Polyline((as_point(first), as_point(second)), positive))
        elif kind == "lasso":
            corners = np.array([first, first, first, first], dtype=float)
            a, b = (n for n in range(3) if n != axis)
            corners[1:3, a] += 4
            corners[2:4, b] += 3
            lassos.append(Polyline(tuple(map(as_point, corners)), positive))
    label = blob.astype(np.uint8) if rng.random() < 0.2 else None
    return ModelInputs(
        foreground, background, boxes=tuple(boxes), lassos=tuple(lassos), scribbles=tuple(scribbles), label=label
    )


def test_a_volume_mapped_from_a_file_is_read_as_one_in_memory(tmp_path: Any) -> None:
    case = lesion(1)
    stored = StoredVolume.save(tmp_path / "image.npy", case.volume)
    click = centre_of(case.truth)
    mapped = mask_of("segmentation", stored.open(), foreground=(click,))
    assert np.array_equal(mapped, mask_of("segmentation", case.volume, foreground=(click,)))


def test_the_same_request_gets_the_same_answer() -> None:
    case = lesion(4)
    first, second = (mask_of("segmentation", case.volume, foreground=(centre_of(case.truth),)) for _ in range(2))
    assert np.array_equal(first, second)


def test_another_modality_is_segmented_too() -> None:
    case = lesion(1)
    values = (case.volume.array.astype(np.float32) + 1100) / 4
    mask = mask_of("segmentation", replace(case.volume, array=values), foreground=(centre_of(case.truth),))
    assert dice(mask, case.truth) > 0.6


def test_a_picture_of_one_slice_is_segmented() -> None:
    case = lesion(4)
    x, y, z = centre_of(case.truth)
    picture = np.clip((case.volume.array[:, :, int(z) : int(z) + 1] + 160) / 400 * 255, 0, 255).astype(np.uint8)
    volume = Volume(picture, Geometry(np.eye(4), (picture.shape[0], picture.shape[1], 1)))
    places = np.argwhere(case.truth[:, :, int(z)]).astype(float)
    box = PromptBox((*places.min(axis=0), 0.0), (*places.max(axis=0), 0.0))
    mask = mask_of("segmentation", volume, boxes=(box,), foreground=((x, y, 0.0),))
    assert dice(mask[:, :, 0], case.truth[:, :, int(z)]) > 0.85


class TestDeepgrowOnASlice:
    @pytest.mark.parametrize("turned", [False, True])
    def test_only_the_slice_of_the_current_point_is_answered(self, turned: bool) -> None:
        case = lesion(1, turned)
        x, y, z = centre_of(case.truth)
        clicks = ((5.0, 5.0, 2.0), (x, y, z), (6.0, 5.0, 2.0))
        mask = mask_of("deepgrow_2d", case.volume, foreground=clicks, current_point=(x, y, z))
        assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [int(z)]
        assert dice(mask[:, :, int(z)], case.truth[:, :, int(z)]) > 0.8

    def test_without_a_current_point_it_is_that_of_the_last_click(self) -> None:
        case = lesion(1)
        x, y, z = centre_of(case.truth)
        mask = mask_of("deepgrow_2d", case.volume, foreground=((5.0, 5.0, 2.0), (x, y, z)))
        assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [int(z)]

    def test_a_negative_current_point_says_the_slice(self) -> None:
        case = lesion(1)
        x, y, z = centre_of(case.truth)
        wrong = (x + 3, y, z)
        mask = mask_of("deepgrow_2d", case.volume, foreground=((x, y, z),), background=(wrong,), current_point=wrong)
        assert holds(mask, (x, y, z))
        assert not holds(mask, wrong)

    def test_a_slice_without_positive_clicks_is_refused(self) -> None:
        case = lesion(1)
        with pytest.raises(EmptySegmentationError, match="on the slice"):
            infer("deepgrow_2d", case.volume, foreground=((5.0, 5.0, 2.0),), current_point=(5.0, 5.0, 3.0))

    def test_a_current_point_that_is_no_number_is_refused(self) -> None:
        case = lesion(1)
        with pytest.raises(ModelInputError, match="three numbers"):
            infer("deepgrow_2d", case.volume, foreground=((5.0, 5.0, 2.0),), current_point=(5.0, 5.0, float("nan")))


@pytest.mark.parametrize(
    ("inputs", "error", "says"),
    [
        ({}, EmptySegmentationError, "send at least one positive"),
        ({"background": ((5.0, 5.0, 5.0),)}, EmptySegmentationError, "send at least one positive"),
        ({"label": np.zeros((72, 64, 24), np.uint8)}, EmptySegmentationError, "send at least one positive"),
        ({"foreground": ((72.0, 5.0, 5.0),)}, OutsideVolumeError, "72 x 64 x 24 voxels"),
        ({"foreground": ((-1.0, 5.0, 5.0),)}, OutsideVolumeError, "is outside the image"),
        ({"foreground": ((float("nan"), 5.0, 5.0),)}, OutsideVolumeError, "three numbers"),
        ({"foreground": ((float("inf"), 5.0, 5.0),)}, OutsideVolumeError, "three numbers"),
        ({"foreground": ((5.0, 5.0, 5.0),), "background": ((5.2, 5.0, 5.0),)}, ConflictingPromptsError, "same place"),
        ({"boxes": (PromptBox((80, 5, 5), (90, 9, 5)),)}, OutsideVolumeError, "A box is outside"),
        ({"boxes": (PromptBox((float("nan"), 5, 5), (90, 9, 5)),)}, OutsideVolumeError, "three numbers"),
        ({"scribbles": (Polyline(((5, 5, 30), (9, 9, 30))),)}, OutsideVolumeError, "A scribble is outside"),
        ({"scribbles": (Polyline(()),)}, OutsideVolumeError, "three numbers"),
        ({"lassos": (Polyline(((5, 5, 1), (9, 9, 5), (5, 12, 9))),)}, OutsideVolumeError, "single slice"),
        ({"lassos": (Polyline(((5, 5, 30), (9, 9, 30), (5, 12, 30))),)}, OutsideVolumeError, "A lasso is outside"),
        ({"label": np.ones((3, 3, 3), np.uint8)}, OutsideVolumeError, "the image's size"),
    ],
)
def test_what_cannot_be_answered_is_said(inputs: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        infer("segmentation", lesion(1).volume, **inputs)
    assert isinstance(caught.value, SegmentationError)
    assert str(caught.value).endswith(".")


def test_a_box_around_nothing_is_refused_and_ignored_beside_a_click() -> None:
    case = lesion(1)
    noise = np.random.default_rng(0).normal(0, 1, case.truth.shape)
    array = np.where(np.arange(case.truth.shape[1])[:, None] < 12, 60.0, case.volume.array) + noise
    volume = Volume(array.astype(np.float32), case.volume.geometry)
    box = PromptBox((30.0, 3.0, 5.0), (36.0, 8.0, 5.0))
    click = centre_of(case.truth)
    assert dice(mask_of("segmentation", volume, foreground=(click,), boxes=(box,)), case.truth) > 0.6
    try:
        mask = mask_of("segmentation", volume, boxes=(box,))
    except EmptySegmentationError as error:
        assert "box" in str(error)  # noqa: PT017 - noise may look like an object
    else:
        assert not mask[:, 12:].any()


def test_an_image_of_one_intensity_is_refused() -> None:
    volume = Volume(np.zeros((20, 20, 10), np.int16), Geometry(np.eye(4), (20, 20, 10)))
    with pytest.raises(EmptySegmentationError, match="same intensity"):
        infer("segmentation", volume, foreground=((5.0, 5.0, 5.0),))


def test_nobody_waits_for_a_cancelled_request() -> None:
    cancelled = threading.Event()
    cancelled.set()
    case = lesion(1)
    with pytest.raises(SegmentationCancelled):
        model("segmentation").infer(case.volume, ModelInputs((centre_of(case.truth),)), cancelled)
