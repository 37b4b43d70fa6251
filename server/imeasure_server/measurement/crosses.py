"""Long and short axis of every slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imeasure_server.imaging.volume import FloatArray, Geometry
from imeasure_server.measurement.longest import TIE, PlanePoints, longest_in_plane
from imeasure_server.measurement.perpendicular import Chords, perpendicular_chords
from imeasure_server.measurement.results import Cross, Segment, segment_between
from imeasure_server.measurement.slice_runs import IntArray, SliceRuns, ragged_ranges

MANY_CORNERS = 100_000
"""Outline corners looked at together."""


@dataclass(frozen=True, eq=False)
class _Lines:
    """Lines between voxel corners of a plane; ``start`` is the end with the lower x (then y).

    Attributes:
        owner: what each line belongs to.
        start, end: (n, 2) corners (x, y): corner (x, y) is at voxel index (x - 0.5, y - 0.5).
    """

    owner: IntArray
    start: IntArray
    end: IntArray

    @classmethod
    def between(cls, owner: IntArray, one: IntArray, other: IntArray) -> _Lines:
        swapped = (one[:, 0] > other[:, 0]) | ((one[:, 0] == other[:, 0]) & (one[:, 1] > other[:, 1]))
        swapped = swapped[:, None]
        return cls(owner, np.where(swapped, other, one), np.where(swapped, one, other))

    @classmethod
    def joined(cls, parts: list[_Lines]) -> _Lines:
        owner, start, end = ([getattr(part, name) for part in parts] for name in ("owner", "start", "end"))
        return cls(np.concatenate(owner), np.concatenate(start), np.concatenate(end))

    def vectors(self, basis: FloatArray) -> FloatArray:
        """From start to end in mm."""
        return np.asarray((self.end - self.start) @ basis.T)


def measure_crosses(runs: SliceRuns, components: IntArray, hulls: PlanePoints, geometry: Geometry) -> dict[int, Cross]:
    """The cross of every slice that holds part of the object, by slice index.

    Args:
        runs: the object.
        components: component number of each run.
        hulls: convex hull of each component.
        geometry: where the voxels lie.
    """
    basis = np.linalg.qr(geometry.affine[:3, :2])[1]  # x and y steps in mm, in an orthonormal basis of the plane
    slices = np.zeros(int(components.max()) + 1, dtype=np.int64)
    slices[components] = runs.slices
    longs = _long_axes(hulls, slices, basis)
    shorts, chords = _short_axes(runs, components, longs, basis)
    slice_of_short = slices[longs.owner[shorts.owner]]
    crosses = {}
    for short in _choose(slice_of_short, longs, shorts, chords):
        k = int(slice_of_short[short]) + runs.lower[2]
        long_axis = _segment(longs, shorts.owner[short], k, geometry)
        crosses[k] = Cross(long=long_axis, short=_segment(shorts, short, k, geometry))
    return crosses


def _long_axes(hulls: PlanePoints, slices: IntArray, basis: FloatArray) -> _Lines:
    """Every pair of corners that could be the long axis of its slice (ties give more than one), by component."""
    left, right, lengths = longest_in_plane(hulls, basis)
    greatest = np.zeros(int(slices.max()) + 1)
    np.maximum.at(greatest, slices, lengths)
    component = hulls.group[left]
    wins = lengths[component] >= greatest[slices[component]] * (1 - TIE)
    corners = np.stack((hulls.x, hulls.y), axis=1)
    return _Lines.between(component[wins], corners[left[wins]], corners[right[wins]])


def _short_axes(runs: SliceRuns, components: IntArray, longs: _Lines, basis: FloatArray) -> tuple[_Lines, Chords]:
    """The best perpendicular chords of each long axis (owner and group: its position)."""
    members, member = np.unique(longs.owner, return_inverse=True)
    outlines = runs.isolate(components, members).without_holes()
    offsets = outlines.outline()
    bounds = np.searchsorted(offsets, np.arange(len(members) + 1) * outlines.slice_size)
    counts = np.diff(bounds)[member]
    directions = longs.vectors(basis)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lines, chords = [], []
    for axes in _batches(counts):
        corners = np.stack(outlines.plane_position(offsets[ragged_ranges(bounds[member[axes]], counts[axes])]), axis=1)
        group = np.repeat(np.arange(len(axes)), counts[axes])
        found = perpendicular_chords(group, corners @ basis.T, directions[axes])
        lines.append(_Lines.between(axes[found.group], corners[found.start], corners[found.end]))
        chords.append(replace(found, group=axes[found.group]))
    return _Lines.joined(lines), Chords.joined(chords)


def _batches(counts: IntArray) -> list[IntArray]:
    """Positions, in order, in batches of about `MANY_CORNERS` in all, to bound the memory."""
    batch = (np.cumsum(counts) - counts) // MANY_CORNERS
    return np.split(np.arange(len(counts)), np.flatnonzero(batch[1:] != batch[:-1]) + 1)


def _choose(slices: IntArray, longs: _Lines, shorts: _Lines, chords: Chords) -> IntArray:
    """For each slice the position in ``shorts`` of its short axis.

    The nearest to the right angle, then the longest (so that the lengths do not depend on which of several equally long
    axes comes first: they stay the same when the image is flipped), then the first by x and y of all four ends.

    Args:
        slices: slice of each short axis.
        longs: candidates for the long axes.
        shorts: candidates for the short axes, owned by a long axis.
        chords: the same as ``shorts``, as lengths and angles.
    """
    best = np.flatnonzero(replace(chords, group=slices).best_mask())
    long = shorts.owner[best]
    ends = np.concatenate((longs.start[long], longs.end[long], shorts.start[best], shorts.end[best]), axis=1)
    best = best[np.lexsort((*ends.T[::-1], slices[best]))]
    return np.asarray(best[np.unique(slices[best], return_index=True)[1]])


def _segment(lines: _Lines, position: np.intp, slice_index: int, geometry: Geometry) -> Segment:
    ends = np.stack((lines.start[position], lines.end[position])) - 0.5
    return segment_between(geometry.to_world(np.insert(ends, 2, slice_index, axis=1)))
