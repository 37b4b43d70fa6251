"""One segmentation for one guess of the object's place and size, and how good it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.hypothesis import Hypothesis
from imeasure_server.segmentation.intensity_model import IntensityModel, noise_level
from imeasure_server.segmentation.min_cut import HARD, min_cut
from imeasure_server.segmentation.working_grid import Float32Array, WorkingGrid

REACH = 2.1  # a grid reaches this many half axes from the centre
ROUNDS = 3
STIFFNESS = 1.6  # of a boundary when the size is a guess; less when it is known


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the prompts say about the samples of a grid; all arrays have its shape.

    Attributes:
        positive: samples known to be object.
        negative: samples known not to be.
        anchor: a part of the object hangs together with one of these; never empty.
        odds: further log odds of object, or 0.
    """

    positive: BoolArray
    negative: BoolArray
    anchor: BoolArray
    odds: FloatArray | float = 0.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """A guess, segmented.

    Attributes:
        hypothesis: where it was looked for.
        grid: where it was computed.
        image: intensities on the grid.
        mask: bool on the grid.
        model: intensities of the object against its surroundings.
        noise: of ``image``, in its units.
    """

    hypothesis: Hypothesis
    grid: WorkingGrid
    image: Float32Array
    mask: BoolArray
    model: IntensityModel
    noise: float

    @property
    def volume_mm3(self) -> float:
        return float(self.mask.sum() * self.grid.spacing.prod())

    @property
    def radius(self) -> float:
        """Radius in mm of the ball of the same volume."""
        return float((3.0 * self.volume_mm3 / (4.0 * np.pi)) ** (1.0 / 3.0))


def grid_for(
    hypothesis: Hypothesis, voxel_spacing: FloatArray, shape: tuple[int, int, int], fineness: float
) -> WorkingGrid:
    """A grid with about ``fineness`` samples a radius around a hypothesis."""
    reach = hypothesis.half_extent * REACH
    return WorkingGrid.around(hypothesis.centre, reach, hypothesis.radius / fineness, voxel_spacing, shape)


def segment_hypothesis(
    array: npt.NDArray[Any],
    voxel_spacing: FloatArray,
    hypothesis: Hypothesis,
    grid: WorkingGrid,
    evidence: Evidence,
    noise_floor: float,
) -> Candidate | None:
    """Alternate between intensity models and cuts (GrabCut, Rother et al. 2004) under a soft ellipsoid.

    Returns:
        The candidate, or None when nothing is left.
    """
    image = grid.sample(array)
    noise = max(noise_level(image), noise_floor)
    distance = hypothesis.distance(grid.offsets_mm(hypothesis.centre, voxel_spacing))
    inside = np.exp(-0.5 * (distance / 0.42) ** 2) * (distance < 1.0)
    outside = ((distance > 1.25) & (distance < 2.0)).astype(np.float64)
    fixed = _shape_odds(distance, hypothesis.trust) + evidence.odds
    smooth = ndimage.gaussian_filter(image, 0.5)
    radius, stiffness = hypothesis.radius, STIFFNESS - 0.4 * hypothesis.trust
    for turn in range(ROUNDS):
        inside = np.where(evidence.positive, 2.0, inside)
        outside = np.where(evidence.negative, 2.0, outside)
        model = IntensityModel.fit(image, inside, outside, noise)
        odds = model.log_odds(smooth) + fixed
        odds[(distance > REACH) & ~evidence.positive] = -HARD
        odds[evidence.positive], odds[evidence.negative] = HARD, -HARD
        mask = min_cut(odds, image, grid.spacing, 2.0 * max(noise, model.spread * 0.7), stiffness)
        mask = tidy(mask, evidence, grid.spacing, 0.12 * radius)
        if not mask.any():
            return None
        if turn + 1 < ROUNDS:
            depth = ndimage.distance_transform_edt(mask, sampling=grid.spacing)
            away = ndimage.distance_transform_edt(~mask, sampling=grid.spacing)
            inside = np.minimum(depth / (0.35 * float(depth.max())), 1.0)
            outside = ((away > 0.15 * radius) & (away < 0.8 * radius)).astype(np.float64)
    return Candidate(hypothesis, grid, image, mask, model, noise)


def _shape_odds(distance: FloatArray, trust: float) -> FloatArray:
    weight = 1.2 + 3.8 * trust
    return np.asarray(weight * np.clip(1.05 - 0.05 * trust - distance, -1.2, 0.7))


def tidy(mask: BoolArray, evidence: Evidence, spacing: FloatArray, neck_mm: float) -> BoolArray:
    """Cut off what hangs on by a neck thinner than twice ``neck_mm``, keep what holds an anchor, fill holes."""
    if not mask.any():
        return mask
    kept = mask
    if neck_mm > float(spacing.min()):
        # The grid's border is not a surface of the object: pad with what is there.
        depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"), sampling=spacing)[1:-1, 1:-1, 1:-1]
        core = _anchored(depth > neck_mm, evidence.anchor)
        if core.any():
            kept = mask & (ndimage.distance_transform_edt(~core, sampling=spacing) <= 1.35 * neck_mm)
    kept = _anchored(kept | (evidence.positive & mask), evidence.anchor)
    return np.asarray(ndimage.binary_fill_holes(kept) & ~evidence.negative)


def _anchored(mask: BoolArray, anchor: BoolArray) -> BoolArray:
    """The parts of a mask that hold an anchor."""
    labels, _ = ndimage.label(mask)
    kept = np.unique(labels[anchor & mask])
    return np.asarray(np.isin(labels, kept[kept > 0]))
