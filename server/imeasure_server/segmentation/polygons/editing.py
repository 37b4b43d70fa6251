"""Polygons that follow a vertex that somebody moved: AIAA's ``fixpolygon``.

What NVIDIA's server did with the image is not documented. Here the moved vertex stays where it was put; its neighbours
along the polygon follow it, the less the farther they are (a raised cosine), and are then drawn to the nearest edge of
the image across the polygon, if there is one like that under the rest of the polygon. On neighbouring slices the same
happens around the vertex that is nearest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import FloatArray
from imeasure_server.segmentation.polygons.outlines import Polygon

REACH = 3.0
"""How far, in pixels, a vertex is drawn to an edge of the image."""
SMOOTHING = 1.0
NEAR = 12.0
"""How far, in pixels, a vertex of the next slice may be from the moved one to follow it, beside the way that went."""
STRONG = 1.5
"""An edge must be this much stronger than what is under the vertex already."""


@dataclass(frozen=True)
class VertexMove:
    """What was done to a polygon.

    Attributes:
        polygon: index among the polygons of its slice.
        vertex: index in the polygon.
        offset: (x, y) pixels.
        neighbours: how many vertices on each side follow.
    """

    polygon: int
    vertex: int
    offset: tuple[float, float]
    neighbours: int = 0


def move_vertex(image: npt.NDArray[np.generic] | None, polygons: Sequence[Polygon], move: VertexMove) -> list[Polygon]:
    """The polygons of one slice after a move.

    Args:
        image: (x, y) of the slice, or None when it says nothing: of a mask, for instance.
        polygons: before the move.
        move: one vertex; it ends where it was put, rounded to whole pixels.

    Raises:
        IndexError: there is no such polygon or vertex.
    """
    polygon = polygons[move.polygon]
    if move.polygon < 0 or not 0 <= move.vertex < len(polygon):
        raise IndexError("There is no such vertex.")
    moved = polygon.astype(np.float64)
    followers = _neighbours(len(polygon), move.vertex, move.neighbours)
    for index, weight in [(move.vertex, 1.0), *followers]:
        moved[index] += weight * np.asarray(move.offset)
    if image is not None and followers:
        _draw_to_edges(_smoothed(image), moved, polygon, [index for index, _ in followers])
    changed = np.rint(moved).astype(np.int32)
    return [changed if index == move.polygon else other for index, other in enumerate(polygons)]


def follow_on_slice(
    image: npt.NDArray[np.generic] | None,
    polygons: Sequence[Polygon],
    place: FloatArray,
    move: VertexMove,
    weight: float,
) -> list[Polygon]:
    """The polygons of a neighbouring slice.

    Args:
        place: (x, y) of the moved vertex before the move.
        move: on the slice where it was made.
        weight: how much of the move is followed here.
    """
    best = _nearest(polygons, place)
    if best is None or best[2] > NEAR + math.hypot(*move.offset):
        return list(polygons)
    offset = (weight * move.offset[0], weight * move.offset[1])
    return move_vertex(image, polygons, VertexMove(best[0], best[1], offset, move.neighbours))


def falloff(distance: int, reach: int) -> float:
    """How much of a move is followed ``distance`` steps away, of at most ``reach``: from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * distance / (reach + 1)))


def _neighbours(count: int, vertex: int, reach: int) -> list[tuple[int, float]]:
    """Index and weight of the vertices that follow, each once, however short the polygon is."""
    reach = min(max(reach, 0), (count - 1) // 2)
    found = []
    for distance in range(1, reach + 1):
        weight = falloff(distance, reach)
        found += [((vertex - distance) % count, weight), ((vertex + distance) % count, weight)]
    return found


def _nearest(polygons: Sequence[Polygon], place: FloatArray) -> tuple[int, int, float] | None:
    """Polygon, vertex and distance."""
    best: tuple[int, int, float] | None = None
    for index, polygon in enumerate(polygons):
        if not len(polygon):
            continue
        distances = np.linalg.norm(polygon - place, axis=1)
        vertex = int(distances.argmin())
        if best is None or distances[vertex] < best[2]:
            best = index, vertex, float(distances[vertex])
    return best


def _smoothed(image: npt.NDArray[np.generic]) -> FloatArray:
    from scipy.ndimage import gaussian_filter  # 20 MiB

    return np.asarray(gaussian_filter(np.asarray(image, dtype=np.float64), SMOOTHING))


def _draw_to_edges(image: FloatArray, moved: FloatArray, before: Polygon, indices: Sequence[int]) -> None:
    """Move ``moved[indices]`` across the polygon to the strongest edge in reach that is like its other edges."""
    normals = _normals(before.astype(np.float64))
    steps = np.arange(-REACH, REACH + 0.25, 0.5)
    typical = _slopes(image, before.astype(np.float64), normals, np.zeros(1))[:, 0]
    sign = float(np.sign(np.median(typical))) or 1.0
    ordinary = float(np.median(np.abs(typical)))
    nearness = np.exp(-0.5 * (steps / REACH) ** 2)
    for index in indices:
        slopes = sign * _slopes(image, moved[index][None], normals[index][None], steps)[0]
        best = int((slopes * nearness).argmax())
        here = slopes[len(steps) // 2]
        if slopes[best] > max(STRONG * here, 0.5 * ordinary, 1e-9):
            moved[index] += steps[best] * normals[index]


def _slopes(image: FloatArray, places: FloatArray, normals: FloatArray, steps: FloatArray) -> FloatArray:
    """(places, steps) derivative of the image along the normals, ``steps`` pixels from the places."""
    from scipy.ndimage import map_coordinates

    sampled = places[:, None, :] + steps[None, :, None] * normals[:, None, :]
    ahead, behind = sampled + 0.5 * normals[:, None, :], sampled - 0.5 * normals[:, None, :]
    values = [
        map_coordinates(image, points.reshape(-1, 2).T, order=1, mode="nearest").reshape(points.shape[:2])
        for points in (ahead, behind)
    ]
    return np.asarray(values[0] - values[1])


def _normals(polygon: FloatArray) -> FloatArray:
    """(n, 2) unit vectors across the polygon, all to the same side of it."""
    along = np.roll(polygon, -1, axis=0) - np.roll(polygon, 1, axis=0)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    lengths = np.linalg.norm(across, axis=1, keepdims=True)
    return np.asarray(across / np.where(lengths > 0, lengths, 1.0))
