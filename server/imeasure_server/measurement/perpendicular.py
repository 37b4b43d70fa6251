"""The greatest chord of an outline perpendicular to a line, for many outlines at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.measurement.longest import TIE
from imeasure_server.measurement.slice_runs import IntArray, ragged_ranges

TOLERANCE_DEGREES = 0.5
"""A chord this near to a right angle counts as perpendicular: corners lie on a lattice."""

MANY_PAIRS = 200_000
"""Pairs looked at together (bounds the memory), and from which on leaving out hopeless points first is quicker."""

MOST_BINS = 2048
"""Bins along the axis of one outline when looking for hopeless points."""


@dataclass(frozen=True, eq=False)
class _Projected:
    """Points of many groups, sorted by group, then along the direction of the group; distances in mm."""

    group: IntArray
    along: FloatArray
    across: FloatArray

    def take(self, chosen: IntArray | BoolArray) -> _Projected:
        return _Projected(self.group[chosen], self.along[chosen], self.across[chosen])

    @cached_property
    def starts(self) -> IntArray:
        """Position of the first point of each group that is there."""
        return np.flatnonzero(np.concatenate(([True], self.group[1:] != self.group[:-1])))

    @cached_property
    def counts(self) -> IntArray:
        return np.diff(np.append(self.starts, len(self.group)))

    @cached_property
    def spans(self) -> FloatArray:
        """Extent of each group along its direction."""
        return np.asarray(self.along[self.starts + self.counts - 1] - self.along[self.starts])

    def reach(self, degrees: float) -> FloatArray:
        """How far apart along the direction the ends of a chord can be that is this near to the right angle."""
        extent = np.maximum.reduceat(self.across, self.starts) - np.minimum.reduceat(self.across, self.starts)
        return np.asarray(np.minimum(extent * np.tan(np.radians(degrees)), self.spans) * (1 + TIE) + TIE)

    def partners(self, degrees: float) -> IntArray:
        """For each point how many of those after it are within reach."""
        # Groups are laid out behind each other with gaps wider than any reach, so that one search serves all.
        reach = self.reach(degrees)
        bases = np.concatenate(([0.0], np.cumsum(self.spans + reach + 1)[:-1]))
        layout = self.along - np.repeat(self.along[self.starts] - bases, self.counts)
        beyond = np.searchsorted(layout, layout + np.repeat(reach, self.counts), side="right")
        return np.asarray(beyond - np.arange(len(layout)) - 1)


@dataclass(frozen=True, eq=False)
class Chords:
    """Pairs of points, by position, with the sine of the angle by which each misses the right angle to its direction.

    Angles up to `TOLERANCE_DEGREES` are all the same.
    """

    group: IntArray
    start: IntArray
    end: IntArray
    length: FloatArray
    sine: FloatArray

    def best_mask(self) -> BoolArray:
        """Which are as near to the right angle as any of their group, and of these the longest, with ties."""
        groups, index = np.unique(self.group, return_inverse=True)
        least = np.full(len(groups), np.inf)
        np.minimum.at(least, index, self.sine)
        length = np.where(self.sine <= least[index] * (1 + TIE), self.length, 0.0)
        greatest = np.zeros(len(groups))
        np.maximum.at(greatest, index, length)
        return np.asarray(length >= greatest[index] * (1 - TIE))

    def best(self) -> Chords:
        """The chords of `best_mask`."""
        return self.take(self.best_mask())

    def take(self, chosen: IntArray | BoolArray) -> Chords:
        return Chords(self.group[chosen], self.start[chosen], self.end[chosen], self.length[chosen], self.sine[chosen])

    def placed(self, positions: IntArray) -> Chords:
        """The same chords with ends at ``positions[start]`` and ``positions[end]``."""
        return Chords(self.group, positions[self.start], positions[self.end], self.length, self.sine)

    @classmethod
    def joined(cls, parts: list[Chords]) -> Chords:
        return cls(
            np.concatenate([part.group for part in parts]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.end for part in parts]),
            np.concatenate([part.length for part in parts]),
            np.concatenate([part.sine for part in parts]),
        )


def perpendicular_chords(group: IntArray, points: FloatArray, directions: FloatArray) -> Chords:
    """The chords of each group that are most nearly perpendicular to its direction, and of those the longest.

    All chords within half a degree of the right angle are equally perpendicular.

    Args:
        group: group of each point, increasing, numbered from 0 without gaps; no group is all on one line.
        points: (n, 2) points in mm, all of a group different.
        directions: (groups, 2) unit vectors.

    Returns:
        At least one chord of every group, all equally good ones of each.
    """
    along = np.einsum("ij,ij->i", points, directions[group])
    across = points[:, 1] * directions[group, 0] - points[:, 0] * directions[group, 1]
    order = np.lexsort((along, group))
    projected = _Projected(group[order], along[order], across[order])
    found = []
    pending = np.ones(len(directions), dtype=np.bool_)
    degrees = TOLERANCE_DEGREES
    while pending.any():
        chosen = np.flatnonzero(pending[projected.group])
        if degrees == TOLERANCE_DEGREES and projected.partners(degrees).sum() > MANY_PAIRS:
            chosen = np.flatnonzero(_promising(projected))
        chords = _chords_within(projected.take(chosen), degrees).placed(order[chosen])
        found.append(chords)
        pending[chords.group] = False
        degrees = min(2 * degrees, 90.0)
    return Chords.joined(found)


def _chords_within(points: _Projected, degrees: float) -> Chords:
    """The best chords of each group among those that are within so many degrees of the right angle."""
    partners = points.partners(degrees)
    floor = np.sin(np.radians(TOLERANCE_DEGREES))
    done = np.cumsum(partners)
    parts = []
    begin = 0
    while begin < len(partners):
        behind = done[begin] - partners[begin]
        stop = max(begin + 1, int(np.searchsorted(done, behind + MANY_PAIRS, side="right")))
        first = np.arange(begin, stop)
        left = np.repeat(first, partners[begin:stop])
        right = ragged_ranges(first + 1, partners[begin:stop])
        step = points.along[right] - points.along[left]
        length = np.hypot(step, points.across[right] - points.across[left])
        sine = step / length
        near = sine <= np.sin(np.radians(degrees)) * (1 + TIE)
        sine = np.where(sine <= floor * (1 + TIE), floor, sine)
        parts.append(Chords(points.group[left], left, right, length, sine).take(near).best())
        begin = stop
    return Chords.joined(parts).best()


def _promising(points: _Projected) -> BoolArray:
    """Leave out points that cannot be an end of the greatest perpendicular chord of their group.

    The points are put in bins along the direction. The two ends of a bin, across, give a chord; where it is
    perpendicular enough the greatest chord of the group is at least as long. A point whose distance across to all
    points within reach is smaller cannot do better.
    """
    slope = np.tan(np.radians(TOLERANCE_DEGREES))
    width = np.maximum(points.reach(TOLERANCE_DEGREES) / 2, points.spans / MOST_BINS)
    margin = 3  # bins on either side that reach covers
    bins = np.floor(points.spans / width).astype(np.int64) + 1 + 2 * margin
    bases = np.cumsum(bins) - bins + margin
    along = points.along - np.repeat(points.along[points.starts], points.counts)
    place = np.floor(along / np.repeat(width, points.counts)).astype(np.int64) + np.repeat(bases, points.counts)
    order = np.lexsort((points.across, place))
    ordered = place[order]
    lows = order[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
    highs = order[np.concatenate((ordered[1:] != ordered[:-1], [True]))]
    rise = points.across[highs] - points.across[lows]
    rise[np.abs(points.along[highs] - points.along[lows]) > slope * rise] = 0.0
    known = np.zeros(int(points.group[-1]) + 1)
    np.maximum.at(known, points.group[lows], rise)
    lowest, highest = np.full(int(bins.sum()), np.inf), np.full(int(bins.sum()), -np.inf)
    lowest[place[lows]], highest[place[highs]] = points.across[lows], points.across[highs]
    low, high = lowest.copy(), highest.copy()
    for shift in range(1, margin + 1):
        for ahead, behind in ((slice(shift, None), slice(None, -shift)), (slice(None, -shift), slice(shift, None))):
            low[ahead] = np.minimum(low[ahead], lowest[behind])
            high[ahead] = np.maximum(high[ahead], highest[behind])
    room = np.maximum(points.across - low[place], high[place] - points.across)
    return np.asarray(room >= known[points.group] * np.cos(np.radians(TOLERANCE_DEGREES)) * (1 - TIE))
