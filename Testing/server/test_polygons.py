"""Masks as polygons and back, and polygons that follow a moved vertex; against a brute-force rasteriser."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from imeasure_server.segmentation.polygons.editing import VertexMove, falloff, move_vertex
from imeasure_server.segmentation.polygons.outlines import fill_polygons, outline_pixels, outline_polygons
from imeasure_server.segmentation.polygons.volume import (
    fill_volume,
    move_vertex_in_volume,
    useful_slice,
    volume_polygons,
)

Mask = NDArray[np.bool_]
SHAPE = (64, 48)
X, Y = np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij")


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = SHAPE) -> Mask:
    across, down = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    return np.asarray((across - x) ** 2 + (down - y) ** 2 <= radius**2)


def blobs(seed: int, shape: tuple[int, ...] = SHAPE, threshold: float = 0.02) -> Mask:
    noise = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(gaussian_filter(noise, 3.5) > threshold)


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


def brute_force(polygons: list[NDArray[np.int32]], shape: tuple[int, int]) -> Mask:
    """Pixel by pixel: surrounded an odd number of times, or within half a pixel of an edge."""
    inside = np.zeros(shape, bool)
    on_edge = np.zeros(shape, bool)
    pixels = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1).astype(float)
    for polygon in polygons:
        for start, end in zip(polygon.astype(float), np.roll(polygon, -1, axis=0).astype(float), strict=True):
            (x0, y0), (x1, y1) = start, end
            crosses = (y0 > pixels[..., 1]) != (y1 > pixels[..., 1])
            if y0 != y1:
                inside ^= crosses & (pixels[..., 0] < x0 + (pixels[..., 1] - y0) * (x1 - x0) / (y1 - y0))
            along, length = end - start, float((end - start) @ (end - start))
            place = np.clip(((pixels - start) @ along) / length, 0, 1) if length else np.zeros(shape)
            on_edge |= np.linalg.norm(pixels - start - place[..., None] * along, axis=-1) <= 0.5
    return inside | on_edge


SHAPES = {
    "disc": disc(30, 20, 15),
    "not round": disc(30, 20, 15) & ~disc(45, 20, 10),
    "ring": disc(30, 24, 18) & ~disc(32, 25, 9),
    "small hole": disc(30, 24, 18) & ~disc(30, 24, 1),
    "island in a hole": (disc(30, 24, 20) & ~disc(30, 24, 14)) | disc(30, 24, 7),
    "two": disc(14, 12, 9) | disc(45, 33, 11),
    "one pixel": (X == 5) & (Y == 6),
    "a line": (X == 5) & (Y > 6) & (Y < 30),
    "a diagonal": X == Y,
    "a square": (X > 9) & (X < 30) & (Y > 5) & (Y < 40),
    "everything": np.ones(SHAPE, bool),
    "a corner": (X < 4) & (Y < 4),
    "blobs": blobs(1),
    "more blobs": blobs(2),
    "specks": np.random.default_rng(3).random(SHAPE) > 0.8,
}


@pytest.mark.parametrize("name", SHAPES)
def test_all_outline_pixels_give_the_mask_back_exactly(name: str) -> None:
    mask = SHAPES[name]
    assert (fill_polygons(outline_pixels(mask), SHAPE) == mask).all()
    assert (fill_polygons(outline_polygons(mask, 1), SHAPE) == mask).all()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("step", [2, 5, 10, 1000])
def test_mask_to_polygons_to_mask(name: str, step: int) -> None:
    mask = SHAPES[name]
    polygons = outline_polygons(mask, step)
    assert dice(fill_polygons(polygons, SHAPE), mask) >= 0.98
    assert dice(brute_force(polygons, SHAPE), mask) >= 0.98
    for polygon in polygons:
        assert polygon.dtype == np.int32
        assert mask[polygon[:, 0], polygon[:, 1]].all()  # a vertex is a pixel of the mask


@pytest.mark.parametrize("seed", range(5))
def test_filling_is_what_brute_force_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.random(9)) * 2 * np.pi
    radii = rng.uniform(8, 20, 9)
    polygon = np.rint(np.stack([30 + radii * np.cos(angles), 24 + radii * np.sin(angles)], axis=1)).astype(np.int32)
    assert dice(fill_polygons([polygon], SHAPE), brute_force([polygon], SHAPE)) >= 0.98


def test_a_smooth_outline_has_a_vertex_about_every_ten_pixels() -> None:
    mask = disc(100, 90, 70, (200, 180))
    (outline,) = outline_pixels(mask)
    for step in (5, 10, 20):
        (polygon,) = outline_polygons(mask, step)
        assert len(outline) / step <= len(polygon) < 1.5 * len(outline) / step + 1


def test_a_nearly_empty_list() -> None:
    assert outline_polygons(np.zeros(SHAPE, bool)) == []
    assert not fill_polygons([], SHAPE).any()
    assert not fill_polygons([np.zeros((0, 2), np.int32)], SHAPE).any()


def test_vertices_outside_the_slice() -> None:
    square = np.array([[-10, -10], [-10, 10], [10, 10], [10, -10]], np.int32)
    assert (fill_polygons([square], SHAPE) == ((X <= 10) & (Y <= 10))).all()


def test_a_volume() -> None:
    mask = np.zeros((*SHAPE, 6), bool)
    mask[:, :, 2:5] = blobs(4, (*SHAPE, 3))
    polygons = volume_polygons(mask)
    assert [bool(on_slice) for on_slice in polygons] == [False, False, True, True, True, False]
    made = fill_volume(polygons, mask.shape)
    for index in range(2, 5):
        assert dice(made[:, :, index], mask[:, :, index]) >= 0.98
    assert not made[:, :, [0, 1, 5]].any()


# --- moving a vertex


def circle(radius: float, count: int = 24, x: float = 30, y: float = 24) -> NDArray[np.int32]:
    angles = np.arange(count) * 2 * np.pi / count
    return np.rint(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)).astype(np.int32)


def soft_disc(radius: float, x: float = 30, y: float = 24) -> NDArray[np.float64]:
    return np.asarray(100 / (1 + np.exp((np.hypot(X - x, Y - y) - radius) / 0.7)))


def distances(polygon: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(polygon - np.array([30, 24]), axis=1))


def test_the_vertex_is_where_it_was_put_and_the_others_stay() -> None:
    before = circle(12)
    (after,) = move_vertex(None, [before], VertexMove(0, 3, (5, -4)))
    assert after[3].tolist() == (before[3] + [5, -4]).tolist()
    assert (np.delete(after, 3, 0) == np.delete(before, 3, 0)).all()


def test_neighbours_follow_less_and_less() -> None:
    before = circle(12)
    (after,) = move_vertex(None, [before], VertexMove(0, 0, (9, 0), neighbours=3))
    moved = (after - before)[:, 0]
    assert moved[0] == 9
    assert moved[[1, 2, 3]].tolist() == moved[[-1, -2, -3]].tolist() == [round(9 * falloff(k, 3)) for k in (1, 2, 3)]
    assert not (after - before)[4:-3].any()
    assert 1 > falloff(1, 3) > falloff(2, 3) > falloff(3, 3) > 0


def test_neighbours_are_drawn_to_the_edge_of_the_image() -> None:
    image = soft_disc(14)
    before = circle(12)  # two pixels too small
    (after,) = move_vertex(image, [before], VertexMove(0, 0, (2, 0), neighbours=4))
    near = [1, 2, 3, 4, -1, -2, -3, -4]
    assert np.abs(distances(before)[near] - 14).mean() > 1.5
    assert np.abs(distances(after)[near] - 14).mean() < 0.8
    assert after[0].tolist() == (before[0] + [2, 0]).tolist()
    assert (after[5:-4] == before[5:-4]).all()


def test_a_dark_object_as_well() -> None:
    (after,) = move_vertex(-soft_disc(14), [circle(12)], VertexMove(0, 0, (2, 0), neighbours=4))
    assert np.abs(distances(after)[[1, 2, 3, 4, -1, -2, -3, -4]] - 14).mean() < 0.8


def test_without_an_edge_in_reach_neighbours_only_follow() -> None:
    before = circle(12)
    free = move_vertex(None, [before], VertexMove(0, 0, (5, 0), neighbours=2))
    flat = move_vertex(np.full(SHAPE, 7.0), [before], VertexMove(0, 0, (5, 0), neighbours=2))
    assert (free[0] == flat[0]).all()


def test_other_polygons_are_let_alone() -> None:
    before = [circle(5, 8), circle(12)]
    after = move_vertex(None, before, VertexMove(1, 2, (3, 3), neighbours=30))
    assert after[0] is before[0]
    assert len(after[1]) == len(before[1])


@pytest.mark.parametrize(("polygon", "vertex"), [(1, 0), (0, 24), (-1, 0), (0, -1)])
def test_a_vertex_that_is_not_there(polygon: int, vertex: int) -> None:
    with pytest.raises(IndexError):
        move_vertex(None, [circle(12)], VertexMove(polygon, vertex, (1, 1)))


def test_neighbouring_slices_follow() -> None:
    image = np.repeat(soft_disc(12)[:, :, None], 9, axis=2)
    before = [[] if index in (0, 8) else [circle(12)] for index in range(9)]
    after = move_vertex_in_volume(image, before, 4, VertexMove(0, 0, (8, 0), 0), slices=2)
    pulled = [0 if not on_slice else int(on_slice[0][0, 0] - 42) for on_slice in after]
    assert pulled == [0, 0, round(8 * falloff(2, 2)), 6, 8, 6, 2, 0, 0]
    assert [len(on_slice) for on_slice in after] == [len(on_slice) for on_slice in before]


def test_slices_without_the_object_end_it() -> None:
    image = np.repeat(soft_disc(12)[:, :, None], 5, axis=2)
    far = circle(4, x=5, y=5)
    before = [[circle(12)], [], [circle(12)], [far], [circle(12)]]
    after = move_vertex_in_volume(image, before, 2, VertexMove(0, 0, (4, 0), 0), slices=4)
    assert (after[0][0] == before[0][0]).all()  # beyond an empty slice
    assert (after[3][0] == far).all()  # another object


def test_an_image_that_is_a_mask_draws_nothing() -> None:
    assert useful_slice(disc(30, 24, 12)[:, :, None].astype(np.uint8), 0) is None
    assert useful_slice(soft_disc(12)[:, :, None], 0) is not None
