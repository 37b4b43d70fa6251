"""The image as an engine can read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.segmentation.engine import EmptySegmentationError

NOISE_FLOOR = 1e-3  # of the image's range: differences below it mean nothing


def usable(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    """The image without NaN and infinities, and the smallest intensity difference that means something.

    Raises:
        EmptySegmentationError: the image has one intensity only.
    """
    if np.issubdtype(array.dtype, np.floating):
        finite = np.isfinite(array)
        if not finite.all():
            lowest = float(array[finite].min()) if finite.any() else 0.0
            array = np.where(finite, array, np.asarray(lowest, dtype=array.dtype))
    # A few thousand voxels tell the range, whatever the size of the volume.
    sample = np.asarray(array[tuple(slice(None, None, max(1, n // 40)) for n in array.shape)], dtype=np.float64)
    lower, upper = np.percentile(sample, (1, 99))
    extent = float(upper - lower) or float(array.max()) - float(array.min())
    if extent <= 0:
        raise EmptySegmentationError("The image has the same intensity everywhere: there is nothing to segment.")
    return array, NOISE_FLOOR * extent
