"""Paints shapes into a voxel grid as a scanner would: partial volume, slice profile, correlated noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry
from phantoms.shapes import Shape

Array = NDArray[np.float64]
SUBSAMPLES = 4  # along each axis of a voxel that a surface may cross
BRICK = (6, 6, 3)  # voxels decided together when no surface can cross them


def coverage(shape: Shape, geometry: Geometry) -> tuple[tuple[slice, slice, slice], Array]:
    """How much of each voxel a shape fills.

    Returns:
        The block of the grid that can hold the shape, and the filled fraction (0..1) of its voxels.
    """
    block = _block(shape, geometry)
    sizes = tuple(s.stop - s.start for s in block)
    if min(sizes) <= 0:
        return block, np.zeros(sizes)
    lower = np.array([s.start for s in block])
    indices, filled = _coarse(shape, geometry, lower, sizes)
    signed = shape.value(geometry.to_world(indices + lower))
    fine = (signed < 0).astype(float)
    half_diagonal = float(np.linalg.norm(geometry.spacing)) / 2
    crossed = np.flatnonzero(np.abs(signed) <= half_diagonal)
    offsets = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3)
    for chunk in np.array_split(crossed, max(1, len(crossed) // 20_000)):
        if chunk.size:
            samples = ((indices[chunk] + lower)[:, None, :] + grid).reshape(-1, 3)
            inside = shape.value(geometry.to_world(samples)) < 0
            fine[chunk] = inside.reshape(len(chunk), -1).mean(axis=1)
    filled[tuple(indices.T)] = fine
    return block, filled


def _coarse(
    shape: Shape, geometry: Geometry, lower: NDArray[np.int_], sizes: tuple[int, ...]
) -> tuple[NDArray[np.int_], Array]:
    """Decide whole bricks of voxels at once: the voxels left to look at (n, 3), and the fill of the others."""
    bricks = [np.arange(0, size, edge) for size, edge in zip(sizes, BRICK, strict=True)]
    corners = np.stack(np.meshgrid(*bricks, indexing="ij"), axis=-1)
    middles = corners + (np.array(BRICK) - 1) / 2 + lower
    signed = shape.value(geometry.to_world(middles.reshape(-1, 3))).reshape(corners.shape[:3])
    half_diagonal = float(np.linalg.norm(geometry.spacing * BRICK)) / 2
    filled = signed < -half_diagonal
    open_ = np.abs(signed) <= half_diagonal
    for axis, edge in enumerate(BRICK):
        filled, open_ = np.repeat(filled, edge, axis), np.repeat(open_, edge, axis)
    x, y, z = sizes
    return np.argwhere(open_[:x, :y, :z]), filled[:x, :y, :z].astype(float)


def _block(shape: Shape, geometry: Geometry) -> tuple[slice, slice, slice]:
    if not np.isfinite(shape.reach):
        x, y, z = geometry.shape
        return slice(0, x), slice(0, y), slice(0, z)
    centre = geometry.to_voxel(shape.centre)
    # A ball's extent along an index axis is its radius times the norm of that row of the inverse matrix.
    reach = shape.reach * np.linalg.norm(np.linalg.inv(geometry.affine[:3, :3]), axis=1) + 1.0
    lower = np.clip(np.floor(centre - reach), 0, geometry.shape).astype(int)
    upper = np.clip(np.ceil(centre + reach) + 1, 0, geometry.shape).astype(int)
    upper = np.maximum(upper, lower)
    return slice(lower[0], upper[0]), slice(lower[1], upper[1]), slice(lower[2], upper[2])


def paint(image: Array, geometry: Geometry, shape: Shape, value: float | Array) -> Array:
    """Paint ``value`` (a number, or an image of the grid's shape) where ``shape`` is; returns its coverage."""
    block, filled = coverage(shape, geometry)
    full = np.zeros(geometry.shape)
    full[block] = filled
    target = value[block] if isinstance(value, np.ndarray) else value
    image[block] = image[block] * (1.0 - filled) + filled * target
    return full


def smooth_texture(rng: np.random.Generator, geometry: Geometry, length_mm: float, deviation: float) -> Array:
    """A smooth random field with correlation length ``length_mm`` and standard deviation ``deviation``."""
    field = ndimage.gaussian_filter(rng.normal(size=geometry.shape), length_mm / geometry.spacing, mode="wrap")
    return np.asarray(field * (deviation / max(float(field.std()), 1e-9)))


def scan(image: Array, geometry: Geometry, rng: np.random.Generator, noise: float, slice_blur_mm: float) -> Array:
    """Blur as a scanner does and add correlated noise.

    Args:
        image: noise-free HU.
        geometry: its grid; the third axis is the slice axis.
        rng: source of the noise.
        noise: standard deviation in HU.
        slice_blur_mm: standard deviation of the slice profile beyond the voxel itself.
    """
    in_plane = 0.55  # mm, a soft-tissue kernel
    sigma = np.array([in_plane, in_plane, slice_blur_mm]) / geometry.spacing
    blurred = ndimage.gaussian_filter(image, sigma, mode="nearest")
    white = rng.normal(size=geometry.shape)
    grain = 0.7 / geometry.spacing[:2]
    coarse = ndimage.gaussian_filter(white, (*grain, 0.3), mode="wrap")
    # Filtered back-projection suppresses the lowest frequencies: take most of them out again.
    field = coarse - 0.8 * ndimage.gaussian_filter(coarse, (*(3.0 / geometry.spacing[:2]), 0.0), mode="wrap")
    return np.asarray(blurred + field * (noise / max(float(field.std()), 1e-9)))
