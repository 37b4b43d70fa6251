"""From a mask to its measurements. Conventions: ``design.md`` §3, "Measurement geometry"."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry
from imeasure_server.measurement.axes import Pair, long_axis, short_axis
from imeasure_server.measurement.farthest import farthest_pair
from imeasure_server.measurement.outline import extreme_corners_3d
from imeasure_server.measurement.types import Cross, Measurements, Segment

TOUCHING_IN_PLANE = ndimage.generate_binary_structure(2, 2)
"""Voxels that share an edge or a corner in the slice are one component: their outlines share that corner."""


def measure(mask: BoolArray, geometry: Geometry) -> Measurements:
    """Measure one object.

    Args:
        mask: (x, y, z) bool; z is the slice axis.
        geometry: of the mask's grid; flipped, oblique, anisotropic and sheared grids are measured in world millimetres.

    Returns:
        Everything measured, in LPS mm; an empty mask gives a volume of 0 and nothing else.

    Raises:
        ValueError: the mask's shape is not the geometry's.
    """
    if mask.shape != geometry.shape:
        raise ValueError(f"The mask's shape {mask.shape} is not the geometry's {geometry.shape}.")
    occupied = ndimage.find_objects(mask.astype(np.uint8, copy=False))
    if not occupied:
        return Measurements()
    box: tuple[slice, slice, slice] = occupied[0]
    inner = np.asarray(mask[box], dtype=bool)
    lower = np.array([part.start for part in box])
    local = geometry.cropped(lower, (inner.shape[0], inner.shape[1], inner.shape[2]))
    count = int(np.count_nonzero(inner))
    return Measurements(
        cross=_crosses(inner, local, int(lower[2])),
        diameter=_diameter(inner, local),
        height=_height(inner, local),
        volume=count,
        volume_mm3=count * geometry.voxel_volume,
    )


def _segment(geometry: Geometry, start: FloatArray, end: FloatArray, length: float | None = None) -> Segment:
    """A segment between two continuous indices (3,)."""
    a, b = geometry.to_world(start), geometry.to_world(end)
    return Segment(
        (float(a[0]), float(a[1]), float(a[2])),
        (float(b[0]), float(b[1]), float(b[2])),
        float(np.linalg.norm(b - a)) if length is None else length,
    )


def _crosses(mask: BoolArray, geometry: Geometry, first_slice: int) -> dict[int, Cross]:
    # Index steps in the plane to mm in a right-angled frame of that plane, also where the axes are not perpendicular.
    plane: FloatArray = np.asarray(np.linalg.qr(geometry.affine[:3, :2]).R)
    crosses = {}
    for z in range(mask.shape[2]):
        if not mask[:, :, z].any():
            continue
        component, corner, long, length = _longest_component(mask[:, :, z], plane)
        short, short_length = short_axis(component, plane, long)
        crosses[first_slice + z] = Cross(
            long=_in_slice(geometry, long, corner, z, length),
            short=_in_slice(geometry, short, corner, z, short_length),
        )
    return crosses


def _in_slice(geometry: Geometry, ends: Pair, offset: FloatArray, z: int, length: float) -> Segment:
    return _segment(geometry, np.append(ends[0] + offset, z), np.append(ends[1] + offset, z), length)


def _longest_component(mask: BoolArray, plane: FloatArray) -> tuple[BoolArray, FloatArray, Pair, float]:
    """The component of a slice with the longest long axis: its mask, that mask's offset, the axis and its length."""
    labels, _ = ndimage.label(mask, TOUCHING_IN_PLANE)
    best: tuple[BoolArray, FloatArray, Pair, float] | None = None
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        size = np.array([part.stop - part.start for part in box], dtype=float)
        diagonals = (size @ plane.T, (size * [1, -1]) @ plane.T)
        if best is not None and max(np.linalg.norm(diagonal) for diagonal in diagonals) <= best[3]:
            continue
        component = labels[box] == label
        ends, length = long_axis(component, plane)
        if best is None or length > best[3]:
            best = component, np.array([float(part.start) for part in box]), ends, length
    assert best is not None, "the slice is not empty"
    return best


def _diameter(mask: BoolArray, geometry: Geometry) -> Segment:
    corners = extreme_corners_3d(mask)
    first, second = farthest_pair(corners @ geometry.affine[:3, :3].T)
    return _segment(geometry, corners[first], corners[second])


def _height(mask: BoolArray, geometry: Geometry) -> Segment:
    """Along the slice normal, through the voxel nearest to the mask's centre."""
    across = np.cross(geometry.affine[:3, 0], geometry.affine[:3, 1])
    normal = across / np.linalg.norm(across)
    step = float(geometry.affine[:3, 2] @ normal)
    slices = mask.shape[2]
    counts_x, counts_y = mask.sum(axis=(1, 2)), mask.sum(axis=(0, 2))
    x = round(float(np.average(np.arange(len(counts_x)), weights=counts_x)))
    y = round(float(np.average(np.arange(len(counts_y)), weights=counts_y)))
    middle = geometry.to_world([x, y, (slices - 1) / 2])
    half = normal * step * slices / 2
    start, end = middle - half, middle + half
    return Segment(
        (float(start[0]), float(start[1]), float(start[2])),
        (float(end[0]), float(end[1]), float(end[2])),
        abs(step) * slices,
    )
