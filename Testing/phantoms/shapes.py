"""Implicit shapes in millimetres: negative inside, positive outside, and never steeper than 1 per mm.

The Lipschitz bound is what lets the renderer supersample only those voxels that a surface can cross.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """An implicit shape.

    Attributes:
        value: (n, 3) world mm -> (n,) signed value; its absolute value is at most the distance to the surface.
        centre: (3,) world mm, centre of a ball that holds the shape.
        reach: radius of that ball in mm (may be infinite).
    """

    value: Callable[[Array], Array]
    centre: Array
    reach: float


def ellipsoid(centre: Array, radii: Array, rotation: Array | None = None) -> Shape:
    """An ellipsoid with half axes ``radii`` (mm), its axes the columns of ``rotation``."""
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)
    axes = np.eye(3) if rotation is None else rotation

    def value(points: Array) -> Array:
        local = (points - centre) @ axes / radii
        return np.asarray((np.linalg.norm(local, axis=1) - 1.0) * radii.min())

    return Shape(value, centre, float(radii.max()))


def tube(path: Array, radii: Array) -> Shape:
    """A vessel: balls swept along the polyline ``path`` (n, 3) with radius ``radii`` (n,) in mm."""
    path, radii = np.asarray(path, float), np.asarray(radii, float)
    centre = (path.min(axis=0) + path.max(axis=0)) / 2
    reach = float((np.linalg.norm(path - centre, axis=1) + radii).max())

    def value(points: Array) -> Array:
        best = np.full(len(points), np.inf)
        for start, end, r0, r1 in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
            axis = end - start
            along = np.clip((points - start) @ axis / max(float(axis @ axis), 1e-9), 0.0, 1.0)
            distance = np.linalg.norm(points - start - along[:, None] * axis, axis=1)
            best = np.minimum(best, distance - (r0 + (r1 - r0) * along))
        return best

    return Shape(value, centre, reach)


def half_space(point: Array, normal: Array) -> Shape:
    """Everything on the side of a plane that ``normal`` points away from."""
    point, unit = np.asarray(point, float), np.asarray(normal, float) / np.linalg.norm(normal)
    return Shape(lambda points: np.asarray((points - point) @ unit), point, np.inf)


def lumpy_ball(centre: Array, radii: Array, rotation: Array, directions: Array, heights: Array, width: float) -> Shape:
    """An ellipsoid whose radius is scaled by smooth bumps.

    Args:
        centre: world mm.
        radii: half axes in mm before the bumps.
        rotation: 3x3, columns are the half axes' directions.
        directions: (n, 3) unit vectors, one a bump.
        heights: (n,) relative height of each bump (0.2 = 20 % of the radius; negative: a dent).
        width: angular width of a bump in radians (standard deviation); small values make spikes.
    """
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)
    steepest = 1.0 + float(np.abs(heights).sum()) * 0.7 / width * float(radii.max() / radii.min())
    # The bumps of a lesion rarely add up in one place: this bound holds for the two steepest together.
    steepest = min(steepest, 1.0 + 2 * float(np.abs(heights).max()) * 0.7 / width * float(radii.max() / radii.min()))

    def value(points: Array) -> Array:
        local = (points - centre) @ rotation / radii
        length = np.linalg.norm(local, axis=1)
        unit = local / np.maximum(length, 1e-9)[:, None]
        cosine = np.clip(unit @ directions.T, -1.0, 1.0)
        scale = 1.0 + np.exp((cosine - 1.0) / width**2) @ heights
        return np.asarray((length - scale) * radii.min() / steepest)

    reach = float(radii.max() * (1.0 + np.maximum(heights, 0.0).sum()))
    return Shape(value, centre, reach)


def union(*shapes: Shape) -> Shape:
    """All points of any of the shapes."""
    centre = np.mean([shape.centre for shape in shapes], axis=0)
    reach = max(float(np.linalg.norm(shape.centre - centre)) + shape.reach for shape in shapes)
    return Shape(lambda p: np.asarray(np.min([shape.value(p) for shape in shapes], axis=0)), centre, reach)


def intersection(first: Shape, second: Shape) -> Shape:
    """All points of both shapes."""
    smaller = first if first.reach <= second.reach else second
    return Shape(lambda p: np.asarray(np.maximum(first.value(p), second.value(p))), smaller.centre, smaller.reach)


def rotation_matrix(rng: np.random.Generator) -> Array:
    """A uniformly random rotation."""
    matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    if np.linalg.det(matrix) < 0:
        matrix[:, 0] *= -1
    return np.asarray(matrix)
