"""Prompts bind and edits are local: for random proposals and for every engine, on random everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imeasure_server.imaging.volume import Volume
from imeasure_server.segmentation.binding import LEAST_VOXELS, LOCALITY, bind, new_edits
from imeasure_server.segmentation.engine import (
    ConflictingPromptsError,
    EmptySegmentationError,
    OutsideVolumeError,
    SegmentationEngine,
    SegmentationError,
)
from imeasure_server.segmentation.prompts import PointPrompt, Prompts
from imeasure_server.segmentation.strokes import stroke_mask

from .segmentation_cases import Mask, circle, random_click, random_pair, random_volume

SEEDS = st.integers(0, 100_000)


def random_prompts(rng: np.random.Generator, blob: Mask) -> Prompts:
    """Any mixture of clicks, a pair and a stroke, without contradictions in one voxel."""
    clicks = [random_click(rng, blob, True, k) for k in range(int(rng.integers(0, 4)))]
    positive = {click.voxel for click in clicks}
    pairs = (random_pair(rng, blob, 5),) if rng.random() < 0.4 else ()
    positive |= {voxel for pair in pairs for voxel in pair.voxels}
    negatives = [random_click(rng, ~blob if rng.random() < 0.8 else blob, False, 6 + k) for k in range(2)]
    clicks += [click for click in negatives if click.voxel not in positive]
    strokes = ()
    if rng.random() < 0.3 or not positive:
        x, y, z = (int(v) for v in np.argwhere(blob)[len(np.argwhere(blob)) // 2])
        strokes = (circle((x, y, z), float(rng.uniform(1, 5)), 9),)
    return Prompts(points=tuple(clicks), extreme_pairs=pairs, strokes=strokes)


def assert_bound(mask: Mask, prompts: Prompts) -> None:
    assert all(mask[voxel] for voxel in prompts.positive_voxels)
    assert not any(mask[voxel] for voxel in prompts.negative_voxels)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_any_proposal_is_bound_to_its_prompts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume, blob = random_volume(rng)
    prompts = random_prompts(rng, blob)
    proposal = ndimage.gaussian_filter(rng.normal(size=blob.shape), 2.0) > rng.uniform(-0.05, 0.05)
    mask = bind(proposal, prompts, volume.geometry.spacing)
    assert_bound(mask, prompts)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    asked = {int(labels[voxel]) for voxel in prompts.positive_voxels}
    if prompts.strokes:
        asked |= {int(v) for v in np.unique(labels[stroke_mask(prompts.strokes, blob.shape)])}
    if not prompts.extreme_pairs:  # what lies between the ends of a pair may stay without touching them
        assert asked - {0} == set(range(1, count + 1))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_engine_binds_its_prompts_and_repeats_itself(engine: SegmentationEngine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume, blob = random_volume(rng)
    prompts = random_prompts(rng, blob)
    try:
        mask = engine.segment(volume, prompts)
    except EmptySegmentationError:
        return
    assert mask.dtype == np.bool_
    assert mask.shape == volume.array.shape
    assert_bound(mask, prompts)
    assert engine.segment(volume, prompts).tobytes() == mask.tobytes()


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_a_sequence_of_edits_binds_and_each_stays_near_its_click(engine: SegmentationEngine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume, blob = random_volume(rng)
    mask = ndimage.binary_dilation(blob) if rng.random() < 0.5 else blob.copy()
    clicks: tuple[PointPrompt, ...] = ()
    for order in range(4):
        positive = bool(rng.random() < 0.5)
        where = (mask != positive) & (ndimage.binary_dilation(mask, iterations=4) if positive else mask)
        taken = {click.voxel for click in clicks}
        if not where.any() or mask.sum() < 30:
            break
        click = random_click(rng, where, positive, order)
        if click.voxel in taken:
            continue
        clicks = (*clicks, click)
        try:
            edited = engine.segment(volume, Prompts(points=clicks, previous_mask=mask))
        except EmptySegmentationError:
            return
        assert_bound(edited, Prompts(points=clicks))
        assert_local(volume, mask, edited, click)
        mask = edited


def assert_local(volume: Volume, before: Mask, after: Mask, click: PointPrompt) -> None:
    """Every change lies within ``LOCALITY`` depths of the click and has the click's sign."""
    spacing = volume.geometry.spacing
    changed = before ^ after
    assert (after[changed] == click.positive).all()
    right = before if click.positive else np.pad(~before, 1, constant_values=True)
    shift = 0 if click.positive else 1
    distances = ((np.argwhere(right) - shift - np.array(click.voxel)) * spacing) ** 2
    depth = max(float(np.sqrt(distances.sum(axis=1).min())), LEAST_VOXELS * float(spacing.min()))
    reach = np.linalg.norm((np.argwhere(changed) - np.array(click.voxel)) * spacing, axis=1)
    assert reach.max() <= LOCALITY * depth + 1e-6
    # and what changed hangs together with the click
    labels, _ = ndimage.label(changed, structure=np.ones((3, 3, 3)))
    main = labels == labels[click.voxel]
    if click.positive:
        assert (main == changed).all()


def ball_in_box() -> tuple[Volume, Mask]:
    rng = np.random.default_rng(0)
    volume, _ = random_volume(rng)
    shape = (48, 48, 24)
    geometry = type(volume.geometry).from_axes((0, 0, 0), (1.0, 1.0, 2.0), np.eye(3), shape)
    axes = [(np.arange(n) - n // 2) * s for n, s in zip(shape, (1.0, 1.0, 2.0), strict=True)]
    ball = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2 <= 12.0**2
    image = rng.normal(50, 12, shape) + 70 * ball
    return Volume(image.astype(np.int16), geometry), np.asarray(ball)


def test_prompts_that_the_previous_mask_satisfies_change_nothing(engine: SegmentationEngine) -> None:
    volume, ball = ball_in_box()
    prompts = Prompts(
        points=(PointPrompt((24, 24, 12), True, 0), PointPrompt((2, 2, 2), False, 1)),
        strokes=(circle((24, 24, 12), 8.0, 2),),
        previous_mask=ball,
    )
    assert new_edits(ball, prompts, volume.geometry.spacing) == []
    assert (engine.segment(volume, prompts) == ball).all()


def test_a_negative_click_in_a_leak_removes_the_leak_and_nothing_else(engine: SegmentationEngine) -> None:
    volume, ball = ball_in_box()
    leak = np.zeros_like(ball)
    leak[30:46, 20:29, 9:15] = True
    leaked = ball | leak
    clicks = (PointPrompt((24, 24, 12), True, 0), PointPrompt((41, 24, 12), False, 1))
    edited = engine.segment(volume, Prompts(points=clicks, previous_mask=leaked))
    surplus_before, surplus_after = (leaked & ~ball).sum(), (edited & ~ball).sum()
    assert surplus_after < 0.4 * surplus_before
    assert (edited & ball).sum() > 0.97 * ball.sum()


def test_a_positive_click_in_a_missing_part_adds_it_and_nothing_else(engine: SegmentationEngine) -> None:
    volume, ball = ball_in_box()
    part = ball.copy()
    part[26:] = False
    clicks = (PointPrompt((20, 24, 12), True, 0), PointPrompt((30, 24, 12), True, 1))
    edited = engine.segment(volume, Prompts(points=clicks, previous_mask=part))
    missing_before, missing_after = (ball & ~part).sum(), (ball & ~edited).sum()
    assert missing_after < 0.4 * missing_before
    assert (edited & ~ball).sum() < 0.03 * ball.sum()


def test_a_new_stroke_adds_what_it_encloses_on_its_slice_only_nearby(engine: SegmentationEngine) -> None:
    volume, ball = ball_in_box()
    part = ball.copy()
    part[:, :, 14:] = False
    stroke = circle((24, 24, 15), 8.0, 1)
    prompts = Prompts(points=(PointPrompt((24, 24, 12), True, 0),), strokes=(stroke,), previous_mask=part)
    edited = engine.segment(volume, prompts)
    assert edited[stroke_mask((stroke,), ball.shape)].all()
    assert (edited[part]).all()
    assert (edited ^ part)[:, :, :9].sum() == 0


def test_a_negative_click_inside_a_stroke_is_kept_when_the_history_is_sent_again(engine: SegmentationEngine) -> None:
    volume, _ = ball_in_box()
    stroke = circle((24, 24, 12), 10.0, 0)
    first = engine.segment(volume, Prompts(strokes=(stroke,)))
    click = PointPrompt((31, 24, 12), False, 1)
    second = engine.segment(volume, Prompts(points=(click,), strokes=(stroke,), previous_mask=first))
    assert not second[click.voxel]
    assert second.sum() < first.sum()
    again = engine.segment(volume, Prompts(points=(click,), strokes=(stroke,), previous_mask=second))
    assert (again == second).all()


def test_a_click_far_from_a_small_mask_invents_nothing_in_featureless_ground(engine: SegmentationEngine) -> None:
    volume, ball = ball_in_box()
    small = np.zeros_like(ball)
    small[24, 24, 12] = True
    prompts = Prompts(points=(PointPrompt((24, 24, 12), True, 0), PointPrompt((4, 4, 3), True, 1)), previous_mask=small)
    edited = engine.segment(volume, prompts)
    assert edited[4, 4, 3]
    assert edited.sum() < 60


def test_contradictions_and_misses_are_named(engine: SegmentationEngine) -> None:
    volume, _ = ball_in_box()
    both = (PointPrompt((24.2, 24, 12), True, 0), PointPrompt((23.9, 24, 12), False, 1))
    with pytest.raises(ConflictingPromptsError, match="both"):
        engine.segment(volume, Prompts(points=both))
    with pytest.raises(OutsideVolumeError, match="outside"):
        engine.segment(volume, Prompts(points=(PointPrompt((48.0, 3, 3), True),)))
    with pytest.raises(EmptySegmentationError):
        engine.segment(volume, Prompts(points=(PointPrompt((24, 24, 12), False),)))
    alone = np.zeros(volume.array.shape, dtype=bool)
    alone[24, 24, 12] = True
    with pytest.raises(EmptySegmentationError, match="Nothing is left"):
        engine.segment(volume, Prompts(points=(PointPrompt((24, 24, 12), False),), previous_mask=alone))
    assert issubclass(ConflictingPromptsError, SegmentationError)
