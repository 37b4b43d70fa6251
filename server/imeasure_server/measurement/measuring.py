"""Measure a segmented object the way radiologists do.

The long and the short axis of a slice follow RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228-247): the longest
diameter in the plane, and the longest one perpendicular to it. The object is the solid body of its voxels: all lines
end on voxel corners (index ± 0.5 in the plane), those of a slice lie in the plane of its voxel centres. Where the
contract and ``design.md`` are silent:

- A line joins two corners and may leave the object between them: the axes of a bent or lobed object are its extents, as
  for the long axis and the diameter, and a straight line through a staircase outline leaves it anyway.
- The short axis ends on the outer outline; cavities belong to the object, as RECIST measures cavitating lesions.
- Voxels that share a corner in the slice belong to one component (8-connectivity).
- No chord within half a degree of the right angle (small objects): the nearest to it, and of equals the longest. Of
  several equally long long axes the one with the longest short axis counts, so that flipping the image changes nothing.
- A line starts at its end with the lower slice, then lower x, then lower y index.
- The height is drawn through the voxel column nearest to the object's centroid, as in the contract's example.

The contract's example agrees in every number but one: its diameter (81.563 mm) is less than its height (85 mm), which
no greatest distance between corners of the same 17 slices can be. The end points of that diameter are voxel corners,
16 slices apart: the greatest distance between corners that lie in the same kind of face (all upper, or all lower).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Geometry
from imeasure_server.measurement.crosses import measure_crosses
from imeasure_server.measurement.longest import PlanePoints, component_hulls, longest_in_space
from imeasure_server.measurement.results import Measurements, Segment, segment_between
from imeasure_server.measurement.slice_runs import IntArray, SliceRuns, encode


def measure(mask: npt.NDArray[np.bool_], geometry: Geometry) -> Measurements:
    """Measure an object.

    Args:
        mask: (x, y, z) bool, True in the object; any memory order.
        geometry: where the voxels lie; oblique, flipped, anisotropic and sheared grids are all right.

    Returns:
        Lengths in mm and end points in LPS mm. An empty mask has no axes, diameter or height, and volume 0.

    Raises:
        TypeError: the mask is not bool.
        ValueError: the mask's shape is not the geometry's.
    """
    if mask.dtype != np.bool_:
        raise TypeError(f"The mask must be an array of bool, not of {mask.dtype}.")
    if mask.shape != geometry.shape:
        raise ValueError(f"The mask's shape {mask.shape} is not the geometry's {geometry.shape}.")
    runs = encode(mask)
    if runs is None:
        return Measurements()
    components = runs.components()
    hulls = component_hulls(runs, components)
    volume = int((runs.stops - runs.starts).sum())
    return Measurements(
        cross=measure_crosses(runs, components, hulls, geometry),
        diameter=_diameter(runs, components, hulls, geometry),
        height=_height(runs, geometry),
        volume=volume,
        volume_mm3=volume * geometry.voxel_volume,
    )


def _diameter(runs: SliceRuns, components: IntArray, hulls: PlanePoints, geometry: Geometry) -> Segment:
    slices = np.zeros(int(components.max()) + 1, dtype=np.int64)
    slices[components] = runs.slices
    z = slices[hulls.group] + runs.lower[2]
    faces = [np.stack((hulls.x, hulls.y, face), axis=1) for face in (z, z + 1)]
    corners = np.concatenate(faces).astype(np.float64) - 0.5
    return segment_between(geometry.to_world(np.stack(longest_in_space(corners, geometry.affine[:3, :3]))))


def _height(runs: SliceRuns, geometry: Geometry) -> Segment:
    """From the lower face of the lowest to the upper face of the highest slice, along the slice normal.

    It passes through the centre of the voxel column nearest to the object's centroid, half way up; in a grid that is
    not sheared it stays in that column.
    """
    x_axis, y_axis, z_axis = geometry.affine[:3, :3].T
    normal = np.cross(x_axis, y_axis)
    normal /= np.linalg.norm(normal)
    first, last = int(runs.slices[0]), int(runs.slices[-1])
    span = (last - first + 1) * float(z_axis @ normal) * normal
    middle = geometry.to_world([*_central_column(runs), runs.lower[2] + (first + last) / 2])
    return segment_between(np.stack((middle - span / 2, middle + span / 2)))


def _central_column(runs: SliceRuns) -> tuple[int, int]:
    """The in-plane voxel index nearest to the object's centroid, in integers so that rounding cannot decide."""
    x_first, y = runs.plane_position(runs.starts)
    lengths = runs.stops - runs.starts
    count = int(lengths.sum())
    twice_x = int((lengths * (2 * x_first + lengths - 1)).sum())
    twice_y = int((lengths * 2 * y).sum())
    return (twice_x + count) // (2 * count), (twice_y + count) // (2 * count)
