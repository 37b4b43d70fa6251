"""Small random volumes, geometries and prompt sequences for the tests of the segmentation rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.segmentation.prompts import ExtremePair, Point, PointPrompt, Stroke

Mask = NDArray[np.bool_]


def random_volume(rng: np.random.Generator) -> tuple[Volume, Mask]:
    """A volume of random size, spacing, orientation, type and content, and a blob in it."""
    shape = tuple(int(n) for n in rng.integers((20, 20, 8), (40, 40, 20)))
    spacing = rng.uniform((0.5, 0.5, 0.8), (1.2, 1.2, 5.0))
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    geometry = Geometry.from_axes(rng.uniform(-100, 100, 3), spacing, axes, (shape[0], shape[1], shape[2]))
    offsets = [(np.arange(n) - rng.uniform(0.35, 0.65) * n) * s for n, s in zip(shape, spacing, strict=True)]
    radii = rng.uniform(0.15, 0.35, 3) * np.array(shape) * spacing
    parts = [(o / r) ** 2 for o, r in zip(offsets, radii, strict=True)]
    blob = parts[0][:, None, None] + parts[1][None, :, None] + parts[2] <= 1.0
    texture = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    image = 40.0 + rng.uniform(0, 80) * texture + rng.choice([-1, 1]) * rng.uniform(20, 200) * blob
    if rng.random() < 0.3:
        image = (image / 500.0).astype(np.float32)
    else:
        image = np.rint(image).astype(rng.choice([np.int16, np.int32, np.float64]))
    return Volume(image, geometry), np.asarray(blob)


def random_voxel(rng: np.random.Generator, mask: Mask) -> tuple[int, int, int]:
    """A voxel of a mask, or any when it is empty."""
    choices = np.argwhere(mask) if mask.any() else np.argwhere(np.ones_like(mask))
    x, y, z = (int(v) for v in choices[rng.integers(len(choices))])
    return x, y, z


def random_click(rng: np.random.Generator, where: Mask, positive: bool, order: int) -> PointPrompt:
    """A click somewhere in the voxels of a mask, rarely in the middle of one."""
    position = np.array(random_voxel(rng, where)) + rng.uniform(-0.49, 0.49, 3)
    return PointPrompt(point(position), positive, order)


def random_pair(rng: np.random.Generator, where: Mask, order: int) -> ExtremePair:
    """Two voxels of one slice of a mask."""
    first = random_voxel(rng, where)
    plane = np.zeros_like(where)
    plane[:, :, first[2]] = where[:, :, first[2]]
    return ExtremePair(point(first), point(random_voxel(rng, plane)), order)


def circle(centre: tuple[float, float, float], radius: float, order: int = 0) -> Stroke:
    """A round stroke (voxels) on a slice."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x, y, z = centre
    points = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles), np.full(24, float(z))])
    return Stroke(points, order)


def point(values: object) -> Point:
    """Three numbers as a ``Point``."""
    x, y, z = (float(v) for v in np.asarray(values))
    return x, y, z
