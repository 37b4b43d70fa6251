"""The polygons of a whole volume, slice by slice along its third axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.polygons.editing import VertexMove, falloff, follow_on_slice, move_vertex
from imeasure_server.segmentation.polygons.outlines import Polygon, fill_polygons, outline_polygons

SlicePolygons = list[list[Polygon]]
"""A list for every slice, empty where there is nothing."""


def volume_polygons(mask: BoolArray, step: int = 10) -> SlicePolygons:
    """The outlines of a mask (x, y, z) on every slice; see `outline_polygons`."""
    return [outline_polygons(np.asarray(mask[:, :, index]), step) for index in range(mask.shape[2])]


def fill_volume(polygons: Sequence[Sequence[Polygon]], shape: tuple[int, int, int]) -> BoolArray:
    """The mask (x, y, z) of the polygons of each slice; slices beyond the last list are empty."""
    mask = np.zeros(shape, bool)
    for index, on_slice in enumerate(polygons[: shape[2]]):
        if on_slice:
            mask[:, :, index] = fill_polygons(on_slice, shape[:2])
    return mask


def move_vertex_in_volume(
    image: npt.NDArray[np.generic], polygons: Sequence[Sequence[Polygon]], index: int, move: VertexMove, slices: int = 0
) -> SlicePolygons:
    """The polygons of a volume after a move.

    Args:
        image: (x, y, z).
        polygons: of every slice, before the move.
        index: of the slice of the move.
        move: one vertex on that slice.
        slices: how many slices on each side follow.

    Raises:
        IndexError: there is no such slice, polygon or vertex.
    """
    if not 0 <= index < min(len(polygons), image.shape[2]):
        raise IndexError("There is no such slice.")
    changed: SlicePolygons = [list(on_slice) for on_slice in polygons]
    changed[index] = move_vertex(useful_slice(image, index), polygons[index], move)
    place = polygons[index][move.polygon][move.vertex].astype(np.float64)
    for direction in (-1, 1):
        for distance in range(1, slices + 1):
            other = index + direction * distance
            if not 0 <= other < min(len(polygons), image.shape[2]) or not polygons[other]:
                break  # the object ends here
            weight = falloff(distance, slices)
            changed[other] = follow_on_slice(useful_slice(image, other), polygons[other], place, move, weight)
    return changed


def useful_slice(image: npt.NDArray[np.generic], index: int) -> npt.NDArray[np.generic] | None:
    """A slice to look for edges in; None when it is a mask or empty, whose edges would hold the polygon back."""
    plane = np.asarray(image[:, :, index])
    values = plane.ravel()
    is_mask = bool(((values == values[0]) | (values == values.max()) | (values == values.min())).all())
    return None if is_mask else plane
