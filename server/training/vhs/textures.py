"""Random fields that give tissue its grain."""

from __future__ import annotations

import cv2
import numpy as np

from vhs.attenuation import Picture


def cloud(
    rng: np.random.Generator, shape: tuple[int, int], finest: float, coarsest: float, slope: float = 1.0
) -> Picture:
    """Noise with power at every scale between two lengths.

    Args:
        shape: (height, width).
        finest, coarsest: lengths in pixels.
        slope: how much more of the coarse there is: amplitude grows with length to this power.

    Returns:
        Mean about 0, standard deviation 1.
    """
    total = np.zeros(shape, np.float32)
    length = max(finest, 1.0)
    while length <= coarsest:
        rows, columns = max(2, round(shape[0] / length)), max(2, round(shape[1] / length))
        grain = rng.standard_normal((rows, columns), dtype=np.float32)
        total += np.float32(length**slope) * cv2.resize(grain, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        length *= 2
    return (total - total.mean()) / max(float(total.std()), 1e-6)
