"""Scribbles, lassos and boxes as voxels, against references that know nothing of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from imeasure_server.segmentation.areas import (
    Area,
    box_area,
    box_axis,
    box_block,
    lasso_area,
    line_voxels,
    spread_out,
)
from imeasure_server.segmentation.object_prompts import ObjectPrompts, cropped, in_voxels, swapped
from imeasure_server.segmentation.prompts import Box
from imeasure_server.segmentation.strokes import stroke_mask

SHAPE = (30, 24, 10)
Points = NDArray[np.float64]


def as_line(points: Points) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in points)


def blob(rng: np.random.Generator, axis: int, index: float) -> Points:
    """A closed line around the middle of a slice."""
    a, b = (n for i, n in enumerate(SHAPE) if i != axis)
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    radius = rng.uniform(0.5, 1.0, 24) * 0.4 * min(a, b)
    flat = np.column_stack([a / 2 + radius * np.cos(angles), b / 2 + radius * np.sin(angles)])
    return np.insert(flat, axis, index, axis=1)


@pytest.mark.parametrize("seed", range(8))
def test_a_line_passes_the_voxels_that_fine_steps_along_it_pass(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, np.array(SHAPE) + 3, (5, 3))
    found = {tuple(v) for v in line_voxels(as_line(points), SHAPE).tolist()}
    steps = np.concatenate([a + (b - a) * np.linspace(0, 1, 4000)[:, None] for a, b in zip(points, points[1:])])  # noqa: B905, RUF007
    voxels = np.floor(steps + 0.5).astype(int)
    inside = voxels[((voxels >= 0) & (voxels < SHAPE)).all(axis=1)]
    passed = {tuple(v) for v in inside.tolist()}
    assert found <= passed
    # Corners that the line only touches may be left out, nothing else: no gap is wider than a voxel's corner.
    for voxel in passed - found:
        assert min(np.abs(np.array(voxel) - other).max() for other in map(np.array, found)) <= 1


def test_a_single_point_is_a_line_of_one_voxel() -> None:
    assert line_voxels(((3.4, 2.6, 1.0),), SHAPE).tolist() == [[3, 3, 1]]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_lasso_encloses_what_a_polygon_fill_fills(axis: int, seed: int) -> None:
    points = blob(np.random.default_rng(seed), axis, 4.2)
    area = lasso_area(as_line(points), SHAPE)
    assert area is not None
    assert (area.axis, area.index) == (axis, 4)
    flat = np.delete(points, axis, axis=1)
    expected = polygon2mask(area.inside.shape, flat)
    under_the_pen = np.zeros_like(expected)
    under_the_pen[tuple(np.floor(flat + 0.5).astype(int).T)] = True
    assert np.array_equal(area.inside | under_the_pen, expected | under_the_pen)


def test_a_lasso_on_no_slice_is_none() -> None:
    assert lasso_area(((1, 1, 1), (9, 3, 5), (4, 9, 8)), SHAPE) is None


def test_a_lasso_beyond_the_last_slice_encloses_nothing() -> None:
    area = lasso_area(((1, 1, 12), (9, 3, 12), (4, 9, 12)), SHAPE)
    assert area is not None
    assert not area.inside.any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_boxes_lie_across_their_axis(axis: int) -> None:
    lower, upper = [3.0, 4.0, 2.0], [9.0, 8.0, 7.0]
    upper[axis] = lower[axis] + 0.2
    box = Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))
    assert box_axis(box) == axis
    area = box_area(box, axis, SHAPE)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[box_block(box, SHAPE)] = True
    found = np.zeros(SHAPE, dtype=bool)
    found[tuple(area.voxels.T)] = True
    assert np.array_equal(found, expected)


def test_contours_of_an_area_enclose_it() -> None:
    inside = np.zeros(SHAPE[:2], dtype=bool)
    inside[3:9, 4:12] = inside[14:15, 2:3] = inside[20:24, 8] = True
    inside[3, 4] = False
    strokes = Area(2, 6, inside).strokes()
    assert len(strokes) == 3
    mask = stroke_mask(strokes, SHAPE)
    assert np.array_equal(mask[:, :, 6], inside)
    assert not mask[:, :, :6].any()


def everything() -> ObjectPrompts:
    rng = np.random.default_rng(5)
    return ObjectPrompts(
        ((12.0, 11.0, 4.0),),
        ((2.0, 3.0, 8.0),),
        (Box((4.0, 5.0, 3.0), (9.0, 9.0, 3.0)), Box((4.0, 5.0, 3.0), (9.0, 9.0, 6.0))),
        (Box((14.0, 5.0, 3.0), (14.0, 9.0, 6.0)),),
        (as_line(blob(rng, 1, 11.0)),),
        (as_line(blob(rng, 0, 20.0)),),
        (((3.0, 3.0, 3.0), (8.0, 8.0, 8.0)),),
        (((20.0, 3.0, 3.0), (25.0, 8.0, 8.0)),),
        np.ones(SHAPE, dtype=np.uint8),
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_prompts_of_a_turned_volume_are_the_turned_prompts(axis: int) -> None:
    prompts = in_voxels(everything(), SHAPE)
    turned = swapped(prompts, axis)
    order = [0, 1, 2]
    order[axis], order[2] = 2, axis
    for before, after in ((prompts.outlined, turned.outlined), (prompts.removed, turned.removed)):
        for one, other in zip(before, after, strict=True):
            assert {tuple(v[order]) for v in one.voxels} == {tuple(v) for v in other.voxels}
    assert {tuple(v[order]) for v in prompts.wanted} == {tuple(v) for v in turned.wanted}
    assert turned.previous is not None
    assert turned.previous.shape == tuple(np.array(SHAPE)[order])


def test_prompts_of_a_block_are_those_in_it() -> None:
    block = (slice(3, 18), slice(2, 20), slice(1, 8))
    prompts = in_voxels(everything(), SHAPE)
    part = cropped(prompts, block)
    lower, upper = np.array([3, 2, 1]), np.array([18, 20, 8])
    inside = [v for v in prompts.drawn if ((v >= lower) & (v < upper)).all()]
    assert np.array_equal(part.drawn + lower, inside)
    assert part.positive == ((9, 9, 3),)
    assert part.negative == ()
    assert part.blocks == ((slice(1, 7), slice(3, 8), slice(2, 6)),)
    for one in part.outlined:
        assert ((one.voxels + lower < upper) & (one.voxels + lower >= lower)).all()


def test_spread_out_voxels_are_among_them_and_apart() -> None:
    voxels = np.argwhere(np.ones((20, 1, 1), dtype=bool))
    found = spread_out(voxels, 3, np.ones(3))
    assert {x for x, _, _ in found[1:]} == {0, 19}
    assert len(spread_out(voxels[:2], 5, np.ones(3))) == 2
    assert spread_out(voxels[:0], 5, np.ones(3)) == []
