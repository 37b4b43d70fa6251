"""Which engine suits an image: the network knows CT, and needs some slices to see the third dimension."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import Volume
from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import SegmentationEngine
from imeasure_server.segmentation.network.intensity import hounsfield_map

THIN = 4  # slices: with fewer there is no third dimension
SAMPLES = 80  # along each axis


def suited(engine: SegmentationEngine, volume: Volume) -> SegmentationEngine:
    """The engine, or the classical one for an image that is no CT or has very few slices.

    The whole image is looked at: a part of it may look like CT by chance.
    """
    if engine.name == GraphCutEngine.name:
        return engine
    if min(volume.geometry.shape) < THIN:
        return GraphCutEngine(engine.device)
    step = tuple(slice(None, None, max(1, n // SAMPLES)) for n in volume.geometry.shape)
    sample = np.asarray(volume.array[step], dtype=np.float32)
    finite = np.isfinite(sample)
    if not finite.all():
        sample = np.where(finite, sample, sample[finite].min() if finite.any() else np.float32(0.0))
    return engine if hounsfield_map(sample) == (1.0, 0.0) else GraphCutEngine(engine.device)
