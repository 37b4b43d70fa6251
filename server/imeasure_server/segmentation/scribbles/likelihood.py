"""How likely each intensity is in the object and beside it, as scribbles show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import logsumexp

from imeasure_server.imaging.volume import FloatArray

LIMIT = 2.5  # log odds that one voxel's intensity can have
MOST_SAMPLES = 6000  # of a scribble: more tell nothing new
MIXTURES = 5
LEAST_SAMPLES = 25  # for each Gaussian
ROUNDS = 60
TABLE = 8192  # intensities for which the odds are computed
CONVERGED = 1e-5
BLUR = 0.15  # of the difference between two materials
MARGIN = 5.0  # widths beyond the outermost intensities
FLOOR = 0.01  # share of a uniform density, so that one odd intensity decides nothing

Float32Array = npt.NDArray[np.float32]
LogOdds = Callable[[npt.NDArray[Any]], Float32Array]
"""Intensities to log odds of object, same shape."""


def histogram_odds(object_values: FloatArray, other_values: FloatArray, noise: float) -> LogOdds:
    """Compare the histograms of two scribbles.

    As Wang et al., "Interactive Medical Image Segmentation Using Deep Learning with Image-Specific Fine-Tuning"
    (IEEE TMI 2018), use them.

    Args:
        object_values, other_values: intensities under the scribbles, none empty.
        noise: smallest difference of intensity that means something, > 0.
    """
    width = _least_deviation(object_values, other_values, noise)
    levels = _levels(object_values, other_values, width)
    step = float(levels[1] - levels[0])
    densities = []
    for values in (object_values, other_values):
        places = np.rint((np.asarray(values) - levels[0]) / step).astype(np.int_)
        counts = np.bincount(np.clip(places, 0, TABLE - 1), minlength=TABLE).astype(np.float64)
        smooth = ndimage.gaussian_filter1d(counts, width / step, mode="constant")
        densities.append(smooth / (len(values) * step))
    return _compared(levels, densities[0], densities[1])


def mixture_odds(object_values: FloatArray, other_values: FloatArray, noise: float) -> LogOdds:
    """Compare mixtures of Gaussians of two scribbles (Rother et al., "GrabCut", SIGGRAPH 2004).

    Args:
        object_values, other_values: intensities under the scribbles, none empty.
        noise: smallest standard deviation, > 0.
    """
    width = _least_deviation(object_values, other_values, noise)
    levels = _levels(object_values, other_values, width)
    wanted, unwanted = (
        np.exp(Mixture.fit(values, width).log_density(levels)) for values in (object_values, other_values)
    )
    return _compared(levels, wanted, unwanted)


def _least_deviation(object_values: FloatArray, other_values: FloatArray, noise: float) -> float:
    """A boundary's voxels are between two materials: with too narrow densities they would be neither."""
    return max(noise, BLUR * abs(float(np.median(object_values)) - float(np.median(other_values))))


def _levels(object_values: FloatArray, other_values: FloatArray, width: float) -> FloatArray:
    """Equally spaced intensities, of everything that was scribbled on and some more."""
    together = np.concatenate([object_values, other_values])
    return np.linspace(float(together.min()) - MARGIN * width, float(together.max()) + MARGIN * width, TABLE)


def _compared(levels: FloatArray, wanted: FloatArray, unwanted: FloatArray) -> LogOdds:
    floor = FLOOR / float(levels[-1] - levels[0])
    return _looked_up(levels, np.clip(np.log((wanted + floor) / (unwanted + floor)), -LIMIT, LIMIT))


def _looked_up(levels: FloatArray, table: FloatArray) -> LogOdds:
    """Log odds of the nearest of equally spaced intensities: millions of voxels are asked for."""
    first, last = float(levels[0]), float(levels[-1])
    scale, short = np.float32((TABLE - 1) / (last - first)), table.astype(np.float32)

    def log_odds(values: npt.NDArray[Any]) -> Float32Array:
        steps = (np.asarray(values, dtype=np.float32) - np.float32(first)) * scale
        return np.asarray(short[np.clip(steps + 0.5, 0, TABLE - 1).astype(np.int32)])

    return log_odds


class Mixture:
    """A mixture of Gaussians in one dimension.

    Args:
        weights, means, deviations: (k,) each; the weights sum to 1.
    """

    def __init__(self, weights: FloatArray, means: FloatArray, deviations: FloatArray) -> None:
        self.weights, self.means, self.deviations = weights, means, deviations

    @classmethod
    def fit(cls, values: FloatArray, least_deviation: float) -> Mixture:
        """Fit by expectation maximisation, from quantiles; as many Gaussians as the samples can carry.

        Args:
            values: (n,), n >= 1.
            least_deviation: > 0.
        """
        samples = np.asarray(values, dtype=np.float64).ravel()
        samples = samples[:: max(1, len(samples) // MOST_SAMPLES)]
        count = int(np.clip(len(samples) // LEAST_SAMPLES, 1, MIXTURES))
        means = np.quantile(samples, (np.arange(count) + 0.5) / count)
        start = max(float(samples.std()) / count, least_deviation)
        result = cls(np.full(count, 1.0 / count), means, np.full(count, start))
        before = -np.inf
        for _ in range(ROUNDS):
            joint = result._joint(samples)
            total = logsumexp(joint, axis=0)
            share = np.exp(joint - total)
            weight = share.sum(axis=1) + 1e-9
            means = (share * samples).sum(axis=1) / weight
            spread = (share * (samples - means[:, None]) ** 2).sum(axis=1) / weight
            deviations = np.maximum(np.sqrt(spread), least_deviation)
            result = cls(weight / weight.sum(), means, deviations)
            now = float(total.mean())
            if now - before < CONVERGED:
                break
            before = now
        return result

    def log_density(self, values: npt.NDArray[Any]) -> FloatArray:
        """Of each value, same shape."""
        return np.asarray(logsumexp(self._joint(np.asarray(values, dtype=np.float64)), axis=0))

    def _joint(self, values: FloatArray) -> FloatArray:
        columns = (slice(None), *(None,) * values.ndim)
        weights, means, deviations = (a[columns] for a in (self.weights, self.means, self.deviations))
        scaled = (values[None] - means) / deviations
        return np.asarray(np.log(weights) - 0.5 * scaled**2 - np.log(deviations) - 0.5 * np.log(2 * np.pi))
