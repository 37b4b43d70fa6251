"""What prompts say about an object's place and size, and about the samples of a grid."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.candidates import Evidence
from imeasure_server.segmentation.hypothesis import Hypothesis
from imeasure_server.segmentation.prompts import Index, Prompts
from imeasure_server.segmentation.strokes import stroke_mask
from imeasure_server.segmentation.working_grid import WorkingGrid

SMALLEST_RADIUS = 1.5  # mm
LARGEST_RADIUS = 130.0  # mm
SCALE_STEP = 1.22
WAIST = (0.7, 0.8, 0.9, 1.0)  # short half axis over long, for two extreme points
DEPTH = (0.7, 1.0, 1.3)  # half axis across the slice over those in it, for strokes
OUTLINED = 1.25  # prompts up to so many half axes from the middle belong to what a stroke outlines
MARGIN = 1.08  # an object reaches this much farther than its outermost click


def hypotheses(prompts: Prompts, spacing: FloatArray, shape: tuple[int, int, int]) -> list[Hypothesis]:
    """Guesses of the object's place and size, growing when only clicks are known.

    Pen strokes show the size best, then a box, then extreme points; single clicks only say how big it is at least.
    """
    if prompts.strokes and (outlined(prompts, spacing, shape) or not (prompts.box or prompts.extreme_pairs)):
        guesses = _from_strokes(prompts, spacing, shape)
    elif prompts.box is not None:
        lower, upper = np.array(prompts.box.lower), np.array(prompts.box.upper)
        half = np.maximum((upper - lower + 1.0) / 2.0 * spacing, SMALLEST_RADIUS)
        guesses = [Hypothesis.aligned((lower + upper) / 2.0, half, 1.0)]
    elif prompts.extreme_pairs:
        guesses = _from_extremes(prompts, spacing)
    else:
        return _from_clicks(prompts, spacing, shape)
    outermost = np.array([p.voxel for p in prompts.points if p.positive], dtype=np.float64).reshape(-1, 3)
    return [_widened(guess, outermost, spacing) for guess in guesses]


def outlined(prompts: Prompts, spacing: FloatArray, shape: tuple[int, int, int]) -> bool:
    """Whether the strokes outline the object, rather than a part of it that other prompts reach beyond."""
    if not prompts.strokes:
        return False
    guess = _from_strokes(prompts, spacing, shape)[-1]
    others = np.array(prompts.positive_voxels, dtype=np.float64).reshape(-1, 3)
    return not len(others) or float(guess.distance((others - guess.centre) * spacing).max()) <= OUTLINED


def _from_clicks(prompts: Prompts, spacing: FloatArray, shape: tuple[int, int, int]) -> list[Hypothesis]:
    clicks = np.array(prompts.positive_voxels, dtype=np.float64)
    centre = clicks.mean(axis=0)
    spread = float(np.linalg.norm((clicks - centre) * spacing, axis=1).max())
    smallest = max(SMALLEST_RADIUS, 2.0 * float(np.sort(spacing)[1]), spread * MARGIN)
    largest = min(LARGEST_RADIUS, 0.6 * float((np.array(shape) * spacing).max()))
    count = max(1, int(np.floor(np.log(max(largest / smallest, 1.0)) / np.log(SCALE_STEP))) + 1)
    return [Hypothesis.ball(centre, smallest * SCALE_STEP**i) for i in range(count)]


def _from_extremes(prompts: Prompts, spacing: FloatArray) -> list[Hypothesis]:
    lengths = [float(np.linalg.norm((np.array(p.first) - p.second) * spacing)) for p in prompts.extreme_pairs]
    pair = prompts.extreme_pairs[int(np.argmax(lengths))]
    first, second = np.array(pair.first), np.array(pair.second)
    long = max(max(lengths) / 2.0 + 0.5 * float(spacing.min()), SMALLEST_RADIUS)
    offset = (second - first) * spacing
    length = float(np.linalg.norm(offset))
    axis = offset / length if length > 0 else np.array([1.0, 0.0, 0.0])
    return [Hypothesis.spindle((first + second) / 2.0, axis, long, long * waist, 1.0) for waist in WAIST]


def _from_strokes(prompts: Prompts, spacing: FloatArray, shape: tuple[int, int, int]) -> list[Hypothesis]:
    points = np.argwhere(stroke_mask(prompts.strokes, shape)).astype(np.float64)
    centre = points.mean(axis=0)
    offsets = (points - centre) * spacing
    slices = np.unique(points[:, 2])
    in_plane = offsets[points[:, 2] == slices[np.bincount(np.searchsorted(slices, points[:, 2])).argmax()]][:, :2]
    # A filled ellipse's covariance is a quarter of its squared half axes.
    covariance = 4.0 * np.cov(in_plane.T, bias=True) if len(in_plane) > 2 else np.zeros((2, 2))
    covariance += np.eye(2) * max(float(spacing[:2].min()) / 2.0, 0.5) ** 2
    typical = float(np.linalg.det(covariance) ** 0.25)
    known = (float(slices.max() - slices.min()) / 2.0 + 0.5) * float(spacing[2])
    guesses = []
    for depth in DEPTH:
        metric = np.zeros((3, 3))
        metric[:2, :2] = np.linalg.inv(covariance)
        metric[2, 2] = 1.0 / max(depth * typical, known * MARGIN) ** 2
        guesses.append(Hypothesis(centre, metric, 1.0))
    return guesses


def _widened(guess: Hypothesis, clicks: FloatArray, spacing: FloatArray) -> Hypothesis:
    """The guess, grown so that it holds all clicks."""
    if not len(clicks):
        return guess
    farthest = float(guess.distance((clicks - guess.centre) * spacing).max())
    if farthest <= 1.0:
        return guess
    return Hypothesis(guess.centre, guess.metric / (farthest * MARGIN) ** 2, guess.trust)


def evidence_on(
    grid: WorkingGrid, prompts: Prompts, hypothesis: Hypothesis, spacing: FloatArray, shape: tuple[int, int, int]
) -> Evidence:
    """The prompts as seen by the samples of a grid."""
    positive, negative = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
    odds = np.zeros(grid.shape)
    wanted = [point.voxel for point in prompts.points if point.positive]
    for voxel in wanted:
        positive[grid.nearest(voxel)] = True
    unwanted = [v for v in prompts.negative_voxels if grid.covers(v)]
    known = [*prompts.positive_voxels, *([] if wanted else [tuple(hypothesis.centre)])]
    for voxel in unwanted:
        negative[grid.nearest(voxel)] = True
        odds += _soft_ball(grid, voxel, known, hypothesis.radius, spacing) * -3.0
    if len(wanted) > 1:
        for voxel in wanted:
            odds += _soft_ball(grid, voxel, unwanted, hypothesis.radius, spacing) * 1.5
    if prompts.strokes:
        enclosed, drawn = _strokes_on(grid, prompts, shape)
        positive |= enclosed
        if outlined(prompts, spacing, shape):
            odds -= 2.0 * (drawn & ~enclosed)
    if prompts.box is not None:
        negative |= ~grid.within(np.array(prompts.box.lower) - 0.5, np.array(prompts.box.upper) + 0.5)
    positive &= ~negative | _near(grid, wanted)
    negative &= ~positive
    anchor = positive.copy()
    if not anchor.any():
        anchor = hypothesis.distance(grid.offsets_mm(hypothesis.centre, spacing)) < 0.35
        anchor[grid.nearest(hypothesis.centre)] = True
    return Evidence(positive, negative, anchor, odds)


def _near(grid: WorkingGrid, voxels: list[Index]) -> BoolArray:
    mask = np.zeros(grid.shape, dtype=bool)
    for voxel in voxels:
        mask[grid.nearest(voxel)] = True
    return mask


def _soft_ball(
    grid: WorkingGrid, voxel: Index, contrary: list[Index], radius: float, spacing: FloatArray
) -> FloatArray:
    """1 at a click, falling off within half the way to the nearest click of the other kind."""
    reach = 0.35 * radius
    for other in contrary:
        reach = min(reach, 0.5 * float(np.linalg.norm((np.array(other) - voxel) * spacing)))
    reach = max(reach, 0.5 * float(grid.spacing.min()))
    squared = (grid.offsets_mm(np.array(voxel, dtype=np.float64), spacing) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-0.5 * squared / reach**2))


def _strokes_on(grid: WorkingGrid, prompts: Prompts, shape: tuple[int, int, int]) -> tuple[BoolArray, BoolArray]:
    """The samples that strokes enclose, and all samples of the slices that were drawn on."""
    mask = stroke_mask(prompts.strokes, shape)
    xs, ys = (np.rint(p).astype(int) for p in grid.positions[:2])
    enclosed, drawn = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
    for k in sorted({stroke.slice_index for stroke in prompts.strokes}):
        sample = int(np.abs(grid.positions[2] - k).argmin())
        if abs(float(grid.positions[2][sample]) - k) <= float(grid.step[2]):
            enclosed[:, :, sample] |= mask[:, :, k][np.ix_(xs, ys)]
            drawn[:, :, sample] = True
    return enclosed, drawn
