"""Lateral thoracic radiographs of dogs that never lived, with landmarks known by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vhs.anatomy import sample_thorax
from vhs.exposure import expose

FIRST_SEED = 2_000_000
"""Training uses seeds below 1,000,000 and evaluation those from there: tests have their own dogs."""


def lateral_thorax(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A radiograph (512, 640) and its landmarks (7, 2) in continuous pixels; head left, spine on top."""
    rng = np.random.default_rng(FIRST_SEED + seed)
    thorax = sample_thorax(rng)
    return expose(thorax.attenuation, rng, thorax.unit), thorax.landmarks
