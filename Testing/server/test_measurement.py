"""Measurements whose values are known beforehand: the contract's example, solids, and degenerate masks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry
from imeasure_server.measurement import Cross, Measurements, Segment, measure

# The example answer of the iMeasure 3D API.
ORIGIN = (-202.0869140625, -338.0869140625, -783.9)
SPACING = (0.826171875, 0.826171875, 5.0)
ROUNDING = 4e-6  # its lengths are single precision: sqrt(63² + 23²) × 0.826171875 is 55.408977


def scan_geometry() -> Geometry:
    return Geometry.from_axes(ORIGIN, SPACING, np.eye(3), (512, 512, 154))


def box(shape: tuple[int, int, int], lower: tuple[int, int, int], upper: tuple[int, int, int]) -> BoolArray:
    """A mask that is True from ``lower`` to ``upper``, both included."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(low, high + 1) for low, high in zip(lower, upper, strict=True))] = True
    return mask


def example_slice() -> BoolArray:
    """A slice whose outline has the ends of the example's axes as its outermost corners: a kite of thin arms."""
    tips = ((156, 312), (178, 250), (145, 288), (179, 302))  # the voxels that have those corners
    mask = np.zeros((512, 512), dtype=bool)
    for x, y in tips:
        mask[np.linspace(x, 166, 400).round().astype(int), np.linspace(y, 290, 400).round().astype(int)] = True
    return mask


def coordinates(segment: Segment) -> FloatArray:
    return np.array([segment.start, segment.end])


def angle(cross: Cross) -> float:
    """Between the two axes of a cross in degrees."""
    a, b = (np.subtract(s.end, s.start) / s.length for s in (cross.long, cross.short))
    return math.degrees(math.acos(abs(float(a @ b))))


def test_axes_of_the_contracts_example() -> None:
    mask = np.zeros((512, 512, 154), dtype=bool)
    mask[:, :, 79] = example_slice()

    crosses = measure(mask, scan_geometry()).cross

    assert set(crosses) == {79}
    cross = crosses[79]
    assert cross.long.length == pytest.approx(55.408978, abs=ROUNDING)
    assert coordinates(cross.long) == pytest.approx(
        np.array([[-73.617, -79.908, -388.9], [-54.615, -131.957, -388.9]]), abs=1e-3
    )
    assert cross.short.length == pytest.approx(30.846209, abs=ROUNDING)
    assert coordinates(cross.short) == pytest.approx(
        np.array([[-82.705, -99.736, -388.9], [-53.789, -88.996, -388.9]]), abs=1e-3
    )
    assert angle(cross) == pytest.approx(89.68, abs=0.01)


def test_height_and_volume_of_the_contracts_example() -> None:
    mask = box((512, 512, 154), (156, 250, 68), (180, 304, 84))
    mask[168, 305, 74:77] = True

    result = measure(mask, scan_geometry())

    assert result.volume == 23378
    assert result.volume_mm3 == pytest.approx(79784.43, abs=0.005)
    assert result.height is not None
    assert result.height.length == pytest.approx(85)
    assert coordinates(result.height) == pytest.approx(
        np.array([[-63.29, -109.237, -446.4], [-63.29, -109.237, -361.4]]), abs=1e-3
    )


def test_the_diameter_ends_on_corners_of_the_voxels() -> None:
    """The example's diameter, (170.5, 278.5, 68.5) to (167.5, 297.5, 84.5): outer faces of 16 slices."""
    mask = np.zeros((512, 512, 154), dtype=bool)
    for x, y, z in ((170, 279, 69), (168, 297, 84)):  # only these corners of the two voxels are that far apart
        mask[x, y, z] = True

    diameter = measure(mask, scan_geometry()).diameter

    assert diameter is not None
    ends = scan_geometry().to_voxel(coordinates(diameter))
    assert ends == pytest.approx(np.array([[170.5, 278.5, 68.5], [167.5, 297.5, 84.5]]), abs=1e-6)
    assert diameter.length == pytest.approx(81.56315, abs=1e-4)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (0.5, 2.0, 1.25)])
def test_a_single_voxel(spacing: tuple[float, float, float]) -> None:
    geometry = Geometry.from_axes((10, 20, 30), spacing, np.eye(3), (3, 3, 3))
    width, depth, thickness = spacing

    result = measure(box((3, 3, 3), (2, 2, 2), (2, 2, 2)), geometry)

    assert set(result.cross) == {2}
    assert result.cross[2].long.length == pytest.approx(math.hypot(width, depth))
    diagonal = math.degrees(math.atan2(min(width, depth), max(width, depth)))
    off_diagonal, off_side = abs(2 * diagonal - 90), diagonal  # how far the other diagonal and a side miss 90 degrees
    shortest = math.hypot(width, depth) if off_diagonal < off_side else min(width, depth)
    assert result.cross[2].short.length == pytest.approx(shortest)
    assert result.diameter is not None
    assert result.diameter.length == pytest.approx(math.hypot(width, depth, thickness))
    assert result.height == Segment(
        pytest.approx((10 + 2 * width, 20 + 2 * depth, 30 + 1.5 * thickness)),
        pytest.approx((10 + 2 * width, 20 + 2 * depth, 30 + 2.5 * thickness)),
        pytest.approx(thickness),
    )
    assert (result.volume, result.volume_mm3) == (1, pytest.approx(width * depth * thickness))


@pytest.mark.parametrize(("upper", "long", "short"), [((19, 0, 0), 20.0, 1.0), ((0, 19, 0), 20.0, 1.0)])
def test_a_line_of_voxels(upper: tuple[int, int, int], long: float, short: float) -> None:
    result = measure(box((20, 20, 1), (0, 0, 0), upper), Geometry(np.eye(4), (20, 20, 1)))

    assert result.cross[0].long.length == pytest.approx(math.hypot(long, short))
    assert result.cross[0].short.length == pytest.approx(short)
    assert angle(result.cross[0]) == pytest.approx(90 - math.degrees(math.atan2(short, long)))


def test_an_oblique_line_of_voxels_is_one_component() -> None:
    mask = np.eye(20, dtype=bool)[:, :, None]

    cross = measure(mask, Geometry(np.eye(4), mask.shape)).cross[0]

    assert cross.long.length == pytest.approx(20 * math.sqrt(2))
    assert cross.short.length == pytest.approx(math.sqrt(2))


def test_a_mask_that_fills_its_grid() -> None:
    shape = (30, 40, 12)
    result = measure(np.ones(shape, dtype=bool), Geometry(np.eye(4), shape))

    assert set(result.cross) == set(range(12))
    assert {cross.long.length for cross in result.cross.values()} == {50.0}
    assert result.diameter is not None
    assert result.diameter.length == pytest.approx(math.hypot(30, 40, 12))
    assert result.height is not None
    assert result.height.length == pytest.approx(12)


def test_the_component_with_the_longest_axis_counts() -> None:
    mask = box((60, 60, 1), (2, 2, 0), (21, 21, 0))  # 400 voxels, 28.3 mm
    mask |= box((60, 60, 1), (2, 40, 0), (51, 41, 0))  # 100 voxels, 50.0 mm

    cross = measure(mask, Geometry(np.eye(4), mask.shape)).cross[0]

    assert cross.long.length == pytest.approx(math.hypot(50, 2))
    assert cross.short.length < 3
    assert min(cross.short.start[1], cross.long.start[1]) >= 39.5


def test_the_short_axis_ignores_cavities_and_what_lies_in_them() -> None:
    solid = box((40, 60, 1), (5, 5, 0), (30, 50, 0))
    hollow = solid & ~box(solid.shape, (10, 10, 0), (25, 44, 0))
    island = hollow | box(solid.shape, (15, 20, 0), (18, 33, 0))
    geometry = Geometry.from_axes((0, 0, 0), (0.9, 0.7, 1), np.eye(3), solid.shape)

    assert measure(hollow, geometry).cross == measure(island, geometry).cross == measure(solid, geometry).cross


def test_slices_without_object_have_no_axes_but_count_for_the_height() -> None:
    mask = box((8, 8, 9), (2, 2, 2), (4, 4, 2)) | box((8, 8, 9), (2, 2, 6), (4, 4, 6))

    result = measure(mask, Geometry.from_axes((0, 0, 0), (1, 1, 3), np.eye(3), mask.shape))

    assert set(result.cross) == {2, 6}
    assert result.height is not None
    assert result.height.length == pytest.approx(15)


def test_a_sheared_grid_has_its_height_along_the_slice_normal() -> None:
    affine = np.eye(4)
    affine[:3, 2] = (1.5, 0, 2)  # slices 2 mm apart, each moved by 1.5 mm along x (a tilted gantry)
    mask = box((9, 9, 5), (3, 3, 1), (5, 5, 3))

    result = measure(mask, Geometry(affine, mask.shape))

    assert result.volume_mm3 == pytest.approx(27 * 2)
    assert result.height == Segment(pytest.approx((7, 4, 1)), pytest.approx((7, 4, 7)), pytest.approx(6))


def test_an_empty_mask() -> None:
    assert measure(np.zeros((4, 5, 6), dtype=bool), Geometry(np.eye(4), (4, 5, 6))) == Measurements(
        {}, None, None, 0, 0
    )


def test_refuses_what_is_not_a_mask_of_the_grid() -> None:
    geometry = Geometry(np.eye(4), (4, 5, 6))
    with pytest.raises(ValueError, match="shape"):
        measure(np.zeros((6, 5, 4), dtype=bool), geometry)
    with pytest.raises(TypeError, match="bool"):
        measure(np.zeros((4, 5, 6)), geometry)  # type: ignore[arg-type]


@pytest.mark.parametrize("radii", [(24.3, 17.1, 20.6), (30.0, 30.0, 12.5), (11.0, 11.0, 11.0)])
def test_ellipsoids(radii: tuple[float, float, float]) -> None:
    """A discretised solid's greatest extents are within a voxel's diagonal of the true ones."""
    shape, spacing = (90, 80, 30), np.array([0.8, 0.9, 2.0])
    geometry = Geometry.from_axes((5, -7, 11), spacing, np.eye(3), shape)
    centre = geometry.to_world((44.3, 39.8, 14.6))
    points = geometry.to_world(np.moveaxis(np.indices(shape), 0, -1)) - centre
    mask = np.square(points / radii).sum(axis=-1) <= 1

    result = measure(mask, geometry)

    in_plane, in_space = math.hypot(*spacing[:2]), math.hypot(*spacing)
    for k, cross in result.cross.items():
        height = float(geometry.to_world((0, 0, k))[2] - centre[2])
        scale = math.sqrt(1 - (height / radii[2]) ** 2)
        long, short = 2 * scale * max(radii[:2]), 2 * scale * min(radii[:2])
        assert cross.long.length == pytest.approx(long, abs=in_plane)
        # The long axis of a round slice may point anywhere; its perpendicular is nowhere shorter than the true short
        # axis, but few corners are perpendicular within half a degree, so that the greatest chord can be missed.
        assert short * 0.85 - in_plane < cross.short.length < long + in_plane
        if long - short > 4 * in_plane:
            assert cross.short.length < short + in_plane
    assert result.diameter is not None
    assert result.diameter.length == pytest.approx(2 * max(radii), abs=in_space)
    assert result.height is not None
    assert result.height.length == pytest.approx(2 * radii[2], abs=2 * spacing[2])
    assert result.volume_mm3 == pytest.approx(4 / 3 * math.pi * math.prod(radii), rel=0.02)
