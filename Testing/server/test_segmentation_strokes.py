"""Pen contours enclose the voxels that a polygon library says they enclose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from imeasure_server.segmentation.prompts import Stroke
from imeasure_server.segmentation.strokes import enclosed_region, stroke_mask

SHAPE = (30, 26, 5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), corners=st.integers(3, 12))
def test_star_shaped_contours_enclose_what_matplotlib_says(seed: int, corners: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(2, 11, corners)
    points = np.column_stack([14.3 + radii * np.cos(angles), 12.2 + radii * np.sin(angles), np.full(corners, 2.0)])
    region = enclosed_region(Stroke(points), SHAPE)
    grid = np.stack(np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = Polygon(np.vstack([points[:, :2], points[:1, :2]])).contains_points(grid).reshape(SHAPE[:2])
    under_pen = np.zeros(SHAPE[:2], dtype=bool)
    for x, y in np.floor(points[:, :2] + 0.5).astype(int):
        if 0 <= x < SHAPE[0] and 0 <= y < SHAPE[1]:
            under_pen[x, y] = True
    # Matplotlib's rule is non-zero winding; for a contour that does not cross itself that is the same.
    if np.diff(np.append(angles, angles[0] + 2 * np.pi)).max() < np.pi:
        assert ((region ^ inside) & ~under_pen).sum() == 0
    assert region[under_pen].all()


def test_a_stroke_smaller_than_a_voxel_marks_its_voxel() -> None:
    region = enclosed_region(Stroke(np.array([[7.1, 8.1, 3.0], [7.2, 8.1, 3.0], [7.1, 8.2, 3.0]])), SHAPE)
    assert np.argwhere(region).tolist() == [[7, 8]]


@pytest.mark.parametrize("z", [-1.0, 5.0])
def test_strokes_outside_the_volume_enclose_nothing(z: float) -> None:
    stroke = Stroke(np.array([[2.0, 2.0, z], [9.0, 2.0, z], [9.0, 9.0, z]]))
    assert not stroke_mask((stroke,), SHAPE).any()


def test_strokes_partly_outside_are_clipped() -> None:
    square = np.array([[-5.0, -5.0, 1.0], [10.2, -5.0, 1.0], [10.2, 10.2, 1.0], [-5.0, 10.2, 1.0]])
    mask = stroke_mask((Stroke(square),), SHAPE)
    assert mask.sum() == 11 * 11
    assert mask[:11, :11, 1].all()
