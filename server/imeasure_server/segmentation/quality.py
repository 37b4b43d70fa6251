"""How good a candidate looks, without knowing the truth."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.candidates import Candidate
from imeasure_server.segmentation.quality_table import MEAN, SCALE, WEIGHT

FEATURES = (
    "one",
    "contrast",
    "contrast²",
    "weakest",
    "weakest²",
    "support",
    "separation",
    "separation²",
    "roundness",
    "roundness²",
    "growth",
    "growth²",
    "shrinkage²",
    "border",
    "border²",
    "smaller",
    "larger",
    "smaller·larger",
    "smaller 2",
    "larger 2",
    "spread",
    "spread²",
    "log radius",
    "log radius²",
)


def predicted_overlap(features: FloatArray) -> float:
    """The Dice coefficient to expect of a candidate with these features (a linear fit; see server/training)."""
    return float(((features - np.array(MEAN)) / np.array(SCALE)) @ np.array(WEIGHT))


def boundary_change(features: FloatArray) -> float:
    """Median change of intensity across the boundary, either way, in units of noise."""
    return float(np.expm1(features[FEATURES.index("contrast")]))


def features_of(candidates: list[Candidate | None], index: int) -> FloatArray:
    """Describe one candidate of a series of growing scale, in the order of ``FEATURES``.

    A boundary that image and neighbours in scale agree on is a good one: contrast across it (in units of noise), the
    share of it that has that contrast, agreement with the next smaller and larger scales.
    """
    candidate = candidates[index]
    if candidate is None:
        raise ValueError("There is no candidate of that scale.")
    contrast, weakest, support = _boundary_contrast(candidate)
    agreement = {step: _agreement(candidate, candidates, index + step) for step in (-2, -1, 1, 2)}
    separation, roundness = candidate.model.separation, _roundness(candidate)
    growth = float(np.log(candidate.radius / candidate.hypothesis.radius))
    border = _border_share(candidate.mask)
    spread = float(np.log(candidate.model.spread / candidate.noise))
    size = float(np.log(candidate.radius))
    contrast, weakest = float(np.log1p(contrast)), float(np.tanh(weakest / 2))
    boundary = [contrast, contrast**2, weakest, weakest**2, support]
    shape = [separation, separation**2, roundness, roundness**2]
    extent = [growth, growth**2, min(growth, 0.0) ** 2, border, border**2]
    scales = [agreement[-1], agreement[1], agreement[-1] * agreement[1], agreement[-2], agreement[2]]
    return np.array([1.0, *boundary, *shape, *extent, *scales, spread, spread**2, size, size**2])


def _boundary_contrast(candidate: Candidate) -> tuple[float, float, float]:
    """Median change across the boundary in noise units, its weakest fifth, and the share that changes at all."""
    mask, spacing = candidate.mask, candidate.grid.spacing
    inner = ndimage.distance_transform_edt(mask, sampling=spacing)
    outer = ndimage.distance_transform_edt(~mask, sampling=spacing)
    radius, model = candidate.hypothesis.radius, candidate.model
    reach = max(0.18 * radius, 1.01 * float(spacing.max()))
    values = np.clip((candidate.image - model.level) / model.spread, -6, 6)
    sigma = 0.2 * radius / spacing
    means = []
    for part in ((inner > 0) & (inner <= reach), (outer > 0) & (outer <= reach)):
        weight = ndimage.gaussian_filter(part.astype(np.float32), sigma)
        total = ndimage.gaussian_filter(np.where(part, values, 0.0).astype(np.float32), sigma)
        means.append(total / np.maximum(weight, 1e-4))
    shell = np.abs(inner - outer) <= 1.05 * float(spacing.max())
    if not shell.any():
        return 0.0, 0.0, 0.0
    change = (means[0] - means[1])[shell] * model.spread / candidate.noise
    usual = float(np.sign(np.median(change))) or 1.0
    weakest = float(np.quantile(usual * change, 0.2))
    return float(np.median(np.abs(change))), weakest, float((usual * change > 1.0).mean())


def _roundness(candidate: Candidate) -> float:
    """1 for a ball, less for what has more surface for its volume (surface counted in voxel faces)."""
    spacing, mask = candidate.grid.spacing, candidate.mask.astype(np.int8)
    area = sum(float(np.abs(np.diff(mask, axis=a)).sum() * spacing.prod() / spacing[a]) for a in range(3))
    return float(1.5 * np.pi ** (1 / 3) * (6 * candidate.volume_mm3) ** (2 / 3) / max(area, 1e-9))


def _border_share(mask: BoolArray) -> float:
    """Share of the surface that lies on the grid's border."""
    rim = np.ones_like(mask)
    rim[tuple(slice(1, -1) if n > 2 else slice(None) for n in mask.shape)] = False
    surface = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return float((mask & rim).sum() / max(int((surface | (mask & rim)).sum()), 1))


def _agreement(candidate: Candidate, candidates: list[Candidate | None], index: int) -> float:
    """Dice coefficient with the candidate of another scale; 0 when there is none."""
    other = candidates[index] if 0 <= index < len(candidates) else None
    if other is None:
        return 0.0
    own = candidate.grid
    found = own.transfer(other.grid, other.mask)
    common = float((found & candidate.mask).sum() * own.spacing.prod())
    return 2.0 * common / (candidate.volume_mm3 + other.volume_mm3)
