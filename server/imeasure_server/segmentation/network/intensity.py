"""Images of every modality in the range of intensities that the network knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SOFT_TISSUE = (-160.0, 240.0)  # HU, to which the range of another modality is mapped
LEAST_EXTENT = 50.0  # HU: an image of a narrower range is no CT
SHARE_BELOW_WATER = 0.005  # of a CT's samples are fat, lung or air
ORGAN = (5.0, 150.0)  # HU: a crop that shows nothing below water but mostly this is of a CT, too
SHARE_OF_ORGAN = 0.7
BONE = 1500.0  # HU: the brightest that such a crop holds


def hounsfield_map(array: npt.NDArray[Any]) -> tuple[float, float]:
    """Factor and offset that bring an image to the network's range: 1 and 0 for a CT.

    A CT shows something below water and spans tens of HU, or shows mostly soft tissue. Of anything else the 1st and
    99th percentile become the ends of the soft-tissue window.

    Args:
        array: (x, y, z), finite.
    """
    sample = np.asarray(array[tuple(slice(None, None, max(1, n // 40)) for n in array.shape)], dtype=np.float64)
    lower, upper = (float(v) for v in np.percentile(sample, (1, 99)))
    below = float((sample < -20.0).mean())
    body = below >= SHARE_BELOW_WATER and upper - lower >= LEAST_EXTENT and lower > -3100.0
    soft = float(((sample >= ORGAN[0]) & (sample <= ORGAN[1])).mean())
    organ = soft >= SHARE_OF_ORGAN and LEAST_EXTENT <= upper - lower <= BONE
    if body or organ:
        return 1.0, 0.0
    factor = (SOFT_TISSUE[1] - SOFT_TISSUE[0]) / max(upper - lower, 1e-6)
    return factor, SOFT_TISSUE[0] - factor * lower
