"""A mask as runs of voxels along x, slice by slice, and the outlines that follow from it.

Runs make everything that needs connectivity (components, holes, outlines) proportional to the object's surface rather
than to its volume. A run is an interval of flat offsets into a grid in which each slice has a frame of background one
voxel wide, so that the voxel below offset ``f`` is ``f + width`` and no run touches the end of a row.

Offsets also name *corners*: corner ``f`` is the corner at (-1/2, -1/2) of the voxel at offset ``f``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imeasure_server.imaging.volume import BoolArray

IntArray = npt.NDArray[np.int64]


def ragged_ranges(first: IntArray, counts: IntArray) -> IntArray:
    """``arange(first[i], first[i] + counts[i])`` for every i, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - ends + counts, counts)


def _components(count: int, first: IntArray, beyond: IntArray) -> IntArray:
    """Number the connected components of ``count`` nodes where node i touches nodes first[i] .. beyond[i] - 1."""
    degree = beyond - first
    source = np.repeat(np.arange(count), degree)
    graph = coo_array((np.ones(len(source), np.bool_), (source, ragged_ranges(first, degree))), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SliceRuns:
    """Runs of object voxels along x.

    Attributes:
        starts: flat offset of each run's first voxel, increasing.
        stops: flat offset behind each run's last voxel.
        width: voxels of a row, with the frame.
        rows: rows of a slice, with the frame.
        lower: voxel index (x, y, z) of the first voxel inside the frame.
    """

    starts: IntArray
    stops: IntArray
    width: int
    rows: int
    lower: tuple[int, int, int]

    @property
    def slice_size(self) -> int:
        """Offsets of one slice, with the frame."""
        return self.width * self.rows

    @property
    def slices(self) -> IntArray:
        """The slice of each run, 0 for the first slice of the grid."""
        return self.starts // self.slice_size

    def plane_position(self, offsets: IntArray) -> tuple[IntArray, IntArray]:
        """Voxel indices (x, y) of the voxels at these offsets."""
        within = offsets % self.slice_size
        return within % self.width - 1 + self.lower[0], within // self.width - 1 + self.lower[1]

    def components(self) -> IntArray:
        """Number the in-plane connected component of each run, from 0.

        Voxels that share an edge or a corner are connected (8-connectivity): a thin oblique structure, such as a
        spiculation, is one object and not a row of loose voxels.
        """
        first = np.searchsorted(self.stops, self.starts + self.width, side="left")
        beyond = np.searchsorted(self.starts, self.stops + self.width, side="right")
        return _components(len(self.starts), first, beyond)

    def isolate(self, components: IntArray, chosen: IntArray) -> SliceRuns:
        """Lay the chosen components out one to a slice, in the order of ``chosen``.

        Args:
            components: component number of each run.
            chosen: the component numbers to keep, each once.
        """
        place = np.full(int(components.max()) + 1, -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        kept = np.flatnonzero(place[components] >= 0)
        shift = (place[components[kept]] - self.slices[kept]) * self.slice_size
        starts = self.starts[kept] + shift
        order = np.argsort(starts)
        return SliceRuns(starts[order], (self.stops[kept] + shift)[order], self.width, self.rows, self.lower)

    def without_holes(self) -> SliceRuns:
        """Fill what the object encloses in each slice (background is 4-connected, the dual of the object's 8)."""
        end = (int(self.slices[-1]) + 1) * self.slice_size
        gap_starts = np.concatenate(([0], self.stops))
        gap_stops = np.concatenate((self.starts, [end]))
        outside = gap_starts // self.width != (gap_stops - 1) // self.width  # such a gap holds part of the frame
        if outside.all():
            return self
        first = np.searchsorted(gap_stops, gap_starts + self.width, side="right")
        beyond = np.searchsorted(gap_starts, gap_stops + self.width, side="left")
        labels = _components(len(gap_starts), first, beyond)
        hole = ~np.isin(labels, labels[outside])
        return SliceRuns(self.starts[~hole[:-1]], self.stops[~hole[1:]], self.width, self.rows, self.lower)

    def outline(self) -> IntArray:
        """Offsets of every voxel corner that lies on the outline of the object, increasing.

        A corner lies on the outline when it touches a voxel of the object and one of the background. Where a row
        differs from the row above it there is a piece of outline; its ends are run ends of the one or the other.
        """
        ends = np.concatenate((self.starts, self.stops))
        events = np.sort(np.concatenate((ends, ends + self.width)))
        corners = ragged_ranges(events[0::2], events[1::2] - events[0::2] + 1)
        return corners[np.concatenate(([True], corners[1:] != corners[:-1]))]


def encode(mask: BoolArray) -> SliceRuns | None:
    """Find the runs of an (x, y, z) mask; None when it is empty."""
    plane = np.any(mask, axis=2)
    if not plane.any():
        return None
    (x_lower, x_upper), (y_lower, y_upper) = _bounds(np.any(plane, axis=1)), _bounds(np.any(plane, axis=0))
    column = mask[x_lower:x_upper, y_lower:y_upper]
    z_lower, z_upper = _bounds(np.any(column, axis=(0, 1)))
    box = column[:, :, z_lower:z_upper].T
    slices, rows, width = box.shape[0], box.shape[1] + 2, box.shape[2] + 2
    framed = np.zeros((slices, rows, width), dtype=np.bool_)
    framed[:, 1:-1, 1:-1] = box
    flat = framed.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return SliceRuns(changes[0::2], changes[1::2], width, rows, (x_lower, y_lower, z_lower))


def _bounds(hits: BoolArray) -> tuple[int, int]:
    """First index that is hit, and the one behind the last."""
    where = np.flatnonzero(hits)
    return int(where[0]), int(where[-1]) + 1
