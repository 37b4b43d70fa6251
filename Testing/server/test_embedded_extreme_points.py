"""DExtr3D on lesions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.inference import Point
from imeasure_server.segmentation.engine import EmptySegmentationError, OutsideVolumeError, SegmentationError

from .embedded_cases import as_point, dice, extreme_points, holds, infer, lesion, mask_of, mirrored


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", [1, 3, 4])
def test_the_object_between_six_points_is_found(seed: int, turned: bool) -> None:
    case = lesion(seed, turned)
    points = extreme_points(case.truth)
    mask = mask_of("dextr3d", case.volume, extreme_points=points)
    assert all(holds(mask, point) for point in points)
    assert dice(mask, case.truth) > 0.8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirrored_voxels_change_little(axis: int) -> None:
    case = lesion(3)
    volume, truth = mirrored(case.volume, case.truth, axis)
    mask = mask_of("dextr3d", volume, extreme_points=extreme_points(truth))
    assert dice(mask, truth) > 0.8


def test_nothing_lies_far_beyond_the_points() -> None:
    case = lesion(4)
    points = np.array(extreme_points(case.truth))
    found = np.argwhere(mask_of("dextr3d", case.volume, extreme_points=tuple(map(as_point, points))))
    assert (found.min(axis=0) >= points.min(axis=0) - 1).all()
    assert (found.max(axis=0) <= points.max(axis=0) + 1).all()


def test_the_region_around_the_points_is_enough() -> None:
    """Clients send what lies around the points, resampled or not."""
    case = lesion(1)
    points = np.array(extreme_points(case.truth))
    lower = np.maximum(points.min(axis=0).astype(int) - (8, 8, 3), 0)
    upper = np.minimum(points.max(axis=0).astype(int) + np.array([9, 9, 4]), case.truth.shape)
    block = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
    array = case.volume.array[block]
    part = Volume(array, case.volume.geometry.cropped(lower, (array.shape[0], array.shape[1], array.shape[2])))
    mask = mask_of("dextr3d", part, extreme_points=tuple(as_point(p - lower) for p in points))
    assert dice(mask, case.truth[block]) > 0.8


def test_more_points_and_their_order_do_not_matter() -> None:
    case = lesion(3)
    points = extreme_points(case.truth)
    first = mask_of("dextr3d", case.volume, extreme_points=points)
    second = mask_of("dextr3d", case.volume, extreme_points=(*points[::-1], points[2]))
    assert dice(first, second) > 0.99


def test_points_that_came_as_clicks_are_taken() -> None:
    case = lesion(3)
    points = extreme_points(case.truth)
    assert np.array_equal(
        mask_of("dextr3d", case.volume, foreground=points), mask_of("dextr3d", case.volume, extreme_points=points)
    )


INSIDE: tuple[Point, ...] = ((9, 9, 9), (20, 9, 9), (15, 5, 9), (15, 15, 9), (15, 9, 4))


@pytest.mark.parametrize(
    ("points", "error", "says"),
    [
        ((), EmptySegmentationError, "At least six points .* 0 came"),
        (INSIDE, EmptySegmentationError, "At least six points .* 5 came"),
        ((*INSIDE, (15.0, 9.0, 24.0)), OutsideVolumeError, "outside the image"),
        ((*INSIDE, (15.0, float("nan"), 20.0)), OutsideVolumeError, "three numbers"),
    ],
)
def test_what_cannot_be_answered_is_said(points: tuple[Point, ...], error: type[SegmentationError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        infer("dextr3d", lesion(1).volume, extreme_points=points)
    assert str(caught.value).endswith(".")


def test_six_points_in_one_place_are_answered_or_refused_with_a_sentence() -> None:
    case = lesion(1)
    points = ((30.0, 30.0, 12.0),) * 6
    try:
        mask = mask_of("dextr3d", case.volume, extreme_points=points)
    except SegmentationError:
        return
    assert holds(mask, points[0])
    assert mask.sum() <= 27
