"""The greatest chord of an outline perpendicular to a line, for many outlines at once."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.measurement.longest import TIE
from imeasure_server.measurement.slice_runs import IntArray, ragged_ranges

TOLERANCE_DEGREES = 0.5
"""A chord this near to a right angle counts as perpendicular: corners lie on a lattice."""


def perpendicular_chords(
    group: IntArray, points: FloatArray, directions: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """The chord of each group that is most nearly perpendicular to a direction, and of those the longest.

    All chords within half a degree of the right angle are equally perpendicular.

    Args:
        group: group of each point, increasing, numbered from 0 without gaps.
        points: (n, 2) points in mm.
        directions: (groups, 2) unit vectors.

    Returns:
        Positions in ``points`` of both ends of all equally good chords of every group (at least one each; a group's
        chords are together), and for each chord the sine of its deviation from the right angle, at least that of half
        a degree.
    """
    along = np.einsum("ij,ij->i", points, directions[group])
    across = points[:, 1] * directions[group, 0] - points[:, 0] * directions[group, 1]
    order = np.lexsort((along, group))
    group, along, across = group[order], along[order], across[order]
    first_ends, second_ends, deviations = [], [], []
    pending = np.ones(len(directions), dtype=np.bool_)
    degrees = TOLERANCE_DEGREES
    while pending.any():
        chosen = np.flatnonzero(pending[group])
        left, right, sine = _chords_within(group[chosen], along[chosen], across[chosen], degrees)
        left, right = chosen[left], chosen[right]
        best = _best(group[left], np.hypot(along[right] - along[left], across[right] - across[left]), sine)
        first_ends.append(order[left[best]])
        second_ends.append(order[right[best]])
        deviations.append(sine[best])
        pending[group[left]] = False
        degrees = min(2 * degrees, 90.0)
    return np.concatenate(first_ends), np.concatenate(second_ends), np.concatenate(deviations)


def _chords_within(
    group: IntArray, along: FloatArray, across: FloatArray, degrees: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """All pairs of points of a group whose line is within so many degrees of the right angle, with its deviation."""
    floor = np.sin(np.radians(TOLERANCE_DEGREES))
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    counts = np.diff(np.append(starts, len(group)))
    extent = np.maximum.reduceat(across, starts) - np.minimum.reduceat(across, starts)
    beyond = _last_within(along, starts, counts, extent * np.tan(np.radians(degrees)) * (1 + TIE))
    partners = beyond - np.arange(len(group)) - 1
    left = np.repeat(np.arange(len(group)), partners)
    right = ragged_ranges(np.arange(len(group)) + 1, partners)
    step = along[right] - along[left]
    sine = np.maximum(step / np.hypot(step, across[right] - across[left]), floor)
    near = sine <= np.sin(np.radians(degrees)) * (1 + TIE)
    sine = np.where(sine <= floor * (1 + TIE), floor, sine)
    return left[near], right[near], sine[near]


def _last_within(along: FloatArray, starts: IntArray, counts: IntArray, reach: FloatArray) -> IntArray:
    """For each point the position behind the last one of its group that is at most ``reach`` further along."""
    # Groups are laid out behind each other with gaps wider than any reach, so that one search serves all.
    ends = starts + counts - 1
    spans = along[ends] - along[starts]
    reach = np.minimum(reach, spans + 1)
    bases = np.concatenate(([0.0], np.cumsum(spans + reach + 1)[:-1]))
    layout = along - np.repeat(along[starts] - bases, counts)
    return np.asarray(np.searchsorted(layout, layout + np.repeat(reach, counts), side="right"), dtype=np.int64)


def _best(group: IntArray, length: FloatArray, sine: FloatArray) -> BoolArray:
    """Mark the chords that are as near to the right angle as any of their group, and of these the longest."""
    if not len(group):
        return np.zeros(0, dtype=np.bool_)
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    counts = np.diff(np.append(starts, len(group)))
    least = np.repeat(np.minimum.reduceat(sine, starts), counts)
    candidate = np.where(sine <= least * (1 + TIE), length, 0.0)
    greatest = np.repeat(np.maximum.reduceat(candidate, starts), counts)
    return np.asarray(candidate >= greatest * (1 - TIE))
