"""Measurements against brute force: every pair of voxel corners, on random masks in random grids."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import pdist, squareform

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry
from imeasure_server.measurement import Measurements, Segment, crosses, longest, measure, perpendicular

HALF_DEGREE = math.sin(math.radians(0.5))
SLACK = 1e-9

MODEST = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def masks(draw: st.DrawFn, largest: int = 11) -> BoolArray:
    """Noise, blobs and sparse voxels, never empty."""
    shape = (draw(st.integers(1, largest)), draw(st.integers(1, largest)), draw(st.integers(1, 4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = random.random(shape) < draw(st.sampled_from([0.05, 0.3, 0.5, 0.8]))
    if draw(st.booleans()):
        smooth = ndimage.gaussian_filter(random.random(shape), (1.5, 1.5, 0.5))
        mask = smooth >= np.quantile(smooth, draw(st.sampled_from([0.3, 0.6, 0.9])))
    mask[tuple(random.integers(0, shape))] = True
    return np.asarray(mask, order=draw(st.sampled_from("CF")))


@st.composite
def affines(draw: st.DrawFn) -> FloatArray:
    """Voxel to LPS: isotropic or not, along the axes, flipped, oblique or sheared."""
    kind = draw(st.sampled_from(["isotropic", "anisotropic", "flipped", "oblique", "sheared"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    linear = np.diag(np.full(3, 0.826171875) if kind == "isotropic" else random.uniform(0.4, 5.0, 3))
    if kind == "flipped":
        linear = random.permutation(np.diag(random.choice([-1.0, 1.0], 3))) @ linear
    elif kind in ("oblique", "sheared"):
        linear = np.linalg.qr(random.normal(size=(3, 3)))[0] @ linear
    if kind == "sheared":
        linear = linear @ (np.eye(3) + np.triu(random.uniform(-0.7, 0.7, (3, 3)), 1))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, random.uniform(-300, 300, 3)
    return affine


def outer_corners(component: BoolArray) -> FloatArray:
    """Corners (x, y) of a 2D mask that touch it and what is not enclosed by it, one by one."""
    padded = np.pad(ndimage.binary_fill_holes(component), 1)
    corners = [
        (x - 0.5, y - 0.5)
        for x, y in product(range(padded.shape[0] - 1), range(padded.shape[1] - 1))
        if 0 < padded[x : x + 2, y : y + 2].sum() < 4
    ]
    return np.array(corners)


def brute_force_axes(plane: BoolArray, linear: FloatArray) -> tuple[float, float, float]:
    """Length of the long and the short axis of a slice, and the sine by which their angle misses 90 degrees."""
    labels, count = ndimage.label(plane, np.ones((3, 3)))
    outlines = [outer_corners(labels == label) @ linear[:, :2].T for label in range(1, count + 1)]
    distances = [squareform(pdist(points)) for points in outlines]
    long = max(matrix.max() for matrix in distances)
    candidates = []
    for points, matrix in zip(outlines, distances, strict=True):
        for start, end in np.argwhere(np.triu(matrix) >= long * (1 - SLACK)):
            direction = (points[end] - points[start]) / long
            lengths = np.where(matrix > 0, matrix, np.inf)
            sines = np.abs((points[:, None] - points[None]) @ direction) / lengths + np.where(matrix > 0, 0, 2)
            sines = np.where(sines <= HALF_DEGREE * (1 + SLACK), HALF_DEGREE, sines)
            nearest = sines.min()
            candidates.append((nearest, matrix[sines <= nearest * (1 + SLACK)].max()))
    nearest = min(sine for sine, _ in candidates)
    return long, max(length for sine, length in candidates if sine <= nearest * (1 + SLACK)), nearest


def brute_force_diameter(mask: BoolArray, linear: FloatArray) -> float:
    corners = (np.argwhere(mask)[:, None] + np.array(list(product((-0.5, 0.5), repeat=3)))).reshape(-1, 3)
    return float(pdist(np.unique(corners, axis=0) @ linear.T).max())


def vector(segment: Segment) -> FloatArray:
    return np.subtract(segment.end, segment.start)


def check_against_brute_force(mask: BoolArray, geometry: Geometry) -> None:
    linear = geometry.affine[:3, :3]
    result = measure(mask, geometry)
    assert set(result.cross) == set(np.flatnonzero(mask.any(axis=(0, 1))))
    for k, cross in result.cross.items():
        long, short, sine = brute_force_axes(mask[:, :, k], linear)
        assert cross.long.length == pytest.approx(long, rel=1e-9)
        assert cross.short.length == pytest.approx(short, rel=1e-8)
        missed = abs(float(vector(cross.long) @ vector(cross.short))) / (long * short)
        assert missed <= sine * (1 + 1e-6) + 1e-9
        for axis in (cross.long, cross.short):
            check_ends(axis, mask[:, :, k : k + 1], geometry.cropped((0, 0, k), (*mask.shape[:2], 1)), in_plane=True)
    assert result.diameter is not None
    assert result.diameter.length == pytest.approx(brute_force_diameter(mask, linear), rel=1e-9)
    check_ends(result.diameter, mask, geometry, in_plane=False)
    check_height(result, mask, geometry)
    assert result.volume == mask.sum()
    assert result.volume_mm3 == pytest.approx(mask.sum() * abs(np.linalg.det(linear)))


def check_ends(segment: Segment, mask: BoolArray, geometry: Geometry, in_plane: bool) -> None:
    """Both ends are corners of voxels of the mask (in the plane of the centres), and as far apart as it says."""
    assert float(np.linalg.norm(vector(segment))) == pytest.approx(segment.length, rel=1e-9)
    padded = np.pad(mask, 1)
    for end in geometry.to_voxel([segment.start, segment.end]):
        corner = end + np.array([0.5, 0.5, 0.0 if in_plane else 0.5])
        assert corner == pytest.approx(np.round(corner), abs=1e-6)
        x, y, z = np.round(corner).astype(int)
        touched = padded[x : x + 2, y : y + 2, z + 1 : z + 2] if in_plane else padded[x : x + 2, y : y + 2, z : z + 2]
        assert touched.any()
        assert not touched.all()


def check_height(result: Measurements, mask: BoolArray, geometry: Geometry) -> None:
    """From face to face, perpendicular to the slices, through a voxel column at most half a voxel off the centroid."""
    assert result.height is not None
    occupied = np.flatnonzero(mask.any(axis=(0, 1)))
    start, end = geometry.to_voxel([result.height.start, result.height.end])
    assert start[2] == pytest.approx(occupied[0] - 0.5, abs=1e-6)
    assert end[2] == pytest.approx(occupied[-1] + 0.5, abs=1e-6)
    assert vector(result.height) @ geometry.affine[:3, :2] == pytest.approx(np.zeros(2), abs=1e-6)
    assert result.height.length == pytest.approx(float(np.linalg.norm(vector(result.height))), rel=1e-9)
    assert (start + end)[:2] / 2 == pytest.approx(np.argwhere(mask).mean(axis=0)[:2], abs=0.5 + 1e-6)


@MODEST
@given(mask=masks(), affine=affines())
def test_brute_force_finds_nothing_else(mask: BoolArray, affine: FloatArray) -> None:
    check_against_brute_force(mask, Geometry(affine, mask.shape))


@MODEST
@given(mask=masks(), affine=affines())
def test_brute_force_finds_nothing_else_when_everything_is_large(
    mask: BoolArray, affine: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with thresholds so low that small masks take the ways of large ones: batches, pruning, hulls."""
    monkeypatch.setattr(perpendicular, "MANY_PAIRS", 1)
    monkeypatch.setattr(perpendicular, "MOST_BINS", 7)
    monkeypatch.setattr(crosses, "MANY_CORNERS", 1)
    monkeypatch.setattr(longest, "FEW_POINTS", 4)
    check_against_brute_force(mask, Geometry(affine, mask.shape))


@MODEST
@given(
    mask=masks(25),
    affine=affines(),
    axes=st.sets(st.integers(0, 2)),
    lower=st.tuples(*[st.integers(0, 4)] * 3),
    swap=st.booleans(),
)
def test_nothing_depends_on_how_the_grid_is_laid(
    mask: BoolArray, affine: FloatArray, axes: set[int], lower: tuple[int, int, int], swap: bool
) -> None:
    """The same object in a grid that is flipped, has x and y swapped, and begins elsewhere."""
    moved_mask = np.pad(mask, [(n, 1) for n in lower])
    change = np.eye(4)
    change[:3, 3] = -np.array(lower)
    for axis in axes:
        moved_mask = np.flip(moved_mask, axis)
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, moved_mask.shape[axis] - 1
        change = change @ flip
    if swap:
        moved_mask = moved_mask.swapaxes(0, 1)
        change = change[:, [1, 0, 2, 3]]

    one = measure(mask, Geometry(affine, mask.shape))
    other = measure(moved_mask, Geometry(affine @ change, moved_mask.shape))

    assert lengths(one, flipped=2 in axes) == pytest.approx(lengths(other, flipped=False), rel=1e-8)
    assert one.volume == other.volume


def lengths(result: Measurements, flipped: bool) -> list[float]:
    """All lengths, slice by slice."""
    assert result.diameter is not None
    assert result.height is not None
    keys = sorted(result.cross, reverse=flipped)
    axes = [axis.length for k in keys for axis in (result.cross[k].long, result.cross[k].short)]
    return [*axes, result.diameter.length, result.height.length, result.volume_mm3]


@MODEST
@given(mask=masks(20), affine=affines())
def test_the_same_mask_has_the_same_measurements(mask: BoolArray, affine: FloatArray) -> None:
    geometry = Geometry(affine, mask.shape)
    assert measure(mask, geometry) == measure(np.asfortranarray(mask), geometry) == measure(mask.copy(), geometry)
