"""What a method is: one kind of function for all, a volume and prompts in, a mask out; and the simplest of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.prompts import Prompts

Method = Callable[[Volume, Prompts], BoolArray]
"""Takes prompts in voxels of the volume; returns (x, y, z) bool, empty when it finds nothing."""


class Unavailable(Exception):
    """A method cannot run here; the message says why."""


class Unsuited(Exception):
    """A method knows nothing of this kind of prompt."""


def sphere(volume: Volume, prompts: Prompts) -> BoolArray:
    """The ball whose diameter runs from one extreme point to the other."""
    if not prompts.extreme_pairs or prompts.points:
        raise Unsuited
    first, second = (np.array(end) for end in (prompts.extreme_pairs[0].first, prompts.extreme_pairs[0].second))
    spacing = volume.geometry.spacing
    radius = float(np.linalg.norm((first - second) * spacing)) / 2
    axes = [
        ((np.arange(n) - c) * s) ** 2
        for n, c, s in zip(volume.geometry.shape, (first + second) / 2, spacing, strict=True)
    ]
    return np.asarray(axes[0][:, None, None] + axes[1][None, :, None] + axes[2] <= radius**2)
