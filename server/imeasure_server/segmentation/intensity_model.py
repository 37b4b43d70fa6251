"""What intensities say: histograms of the object and of its surroundings, compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import FloatArray

BINS = 64
SPREADS = 5.0  # intensities farther than this many spreads from the object's level count as that far
FLOOR = 0.1 / BINS  # probability that any intensity is given, so that one odd voxel decides nothing


@dataclass(frozen=True, eq=False)
class IntensityModel:
    """Log odds of object against surroundings for each intensity.

    Attributes:
        level: intensity of the object.
        spread: robust scale in the image's units, > 0.
        table: log odds at ``BINS`` equal steps of compressed intensity.
        separation: overlap-free share of the two histograms, 0 (same) to 1 (apart).
    """

    level: float
    spread: float
    table: FloatArray
    separation: float

    @classmethod
    def fit(
        cls,
        values: npt.NDArray[Any],
        inside: npt.NDArray[Any],
        outside: npt.NDArray[Any],
        noise: float,
        limit: float = 2.5,
    ) -> IntensityModel:
        """Estimate from weighted samples.

        Args:
            values: intensities, any shape.
            inside: weights of the object, same shape, >= 0.
            outside: weights of the surroundings, same shape, >= 0.
            noise: smallest spread worth telling apart, in the image's units, > 0.
            limit: largest log odds returned.
        """
        level = weighted_quantile(values, inside, 0.5)
        lower, upper = (weighted_quantile(values, inside, q) for q in (0.16, 0.84))
        spread = max((upper - lower) / 2, noise)
        bins = _bins(values, level, spread)
        densities = []
        for weights in (inside, outside):
            histogram = np.bincount(bins.ravel(), weights=np.ravel(weights), minlength=BINS)
            histogram = ndimage.gaussian_filter1d(histogram, 2.0, mode="nearest")
            densities.append(histogram / max(float(histogram.sum()), 1e-9) + FLOOR)
        table = np.clip(np.log(densities[0] / densities[1]), -limit, limit)
        separation = float(np.abs(densities[0] - densities[1]).sum() / (densities[0] + densities[1]).sum())
        return cls(level, spread, table, separation)

    def log_odds(self, values: npt.NDArray[Any]) -> FloatArray:
        """Log odds of object, same shape as ``values``; NaN counts as surroundings."""
        return np.asarray(self.table[_bins(values, self.level, self.spread)])


def _bins(values: npt.NDArray[Any], level: float, spread: float) -> npt.NDArray[np.int_]:
    # Fine near the object's level, coarse far away: bone and air need no bins of their own.
    unit = np.arcsinh((values - level) / (2.0 * spread)) / np.arcsinh(SPREADS)
    return np.asarray(np.clip(((unit + 1.0) / 2.0 * BINS).astype(np.int_), 0, BINS - 1))


def weighted_quantile(values: npt.NDArray[Any], weights: npt.NDArray[Any], quantile: float) -> float:
    """The value below which ``quantile`` of the weight lies; 0 when there is no weight."""
    used = weights > 0
    if not used.any():
        return 0.0
    order = np.argsort(values[used], kind="stable")
    cumulated = np.cumsum(weights[used][order])
    position = int(np.searchsorted(cumulated, quantile * cumulated[-1]))
    return float(values[used][order][min(position, len(order) - 1)])


def noise_level(image: npt.NDArray[Any]) -> float:
    """Robust standard deviation of differences between neighbours, divided by √2: the noise of a smooth image."""
    differences = [np.abs(np.diff(image, axis=axis)).ravel() for axis in range(3) if image.shape[axis] > 1]
    if not differences:
        return 0.0
    return float(np.median(np.concatenate(differences)) * 1.4826 / np.sqrt(2.0))
