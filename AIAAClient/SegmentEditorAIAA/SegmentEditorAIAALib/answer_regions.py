"""The labels of an answer as tight masks."""

from __future__ import annotations

from typing import Any

from IMeasureLib.crop_region import MaskRegion


def regionsOf(answer: Any) -> dict[str, MaskRegion]:
    """Label → its voxels on the volume's grid; labels without voxels are left out, as is everything without a mask."""
    if answer.mask is None:
        return {}
    found = {name: MaskRegion.of(answer.mask == value) for name, value in answer.labels.items()}
    return {name: region for name, region in found.items() if not region.isEmpty}
