"""The fixed synthetic lesions of the comparison."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Volume
from phantoms import LesionPhantom, make_lesion_phantom
from phantoms.suite import suite_member

Made = dict[str, Callable[[], tuple[Volume, BoolArray]]]
"""Name of a case → what makes its image and object."""

NODULES = 12
FORMS = ("round", "oval", "lobulated", "spiculated")

PHANTOMS = {
    "liver lobulated 14 mm": 15,
    "liver round 30 mm": 20,
    "liver spiculated 63 mm": 0,
    "lung oval 9 mm": 6,
    "lung lobulated 21 mm": 1,
    "lung oval 40 mm": 16,
    "soft tissue spiculated 14 mm": 2,
    "soft tissue round 26 mm": 7,
    "soft tissue oval 53 mm": 22,
    "kidney round 11 mm": 8,
    "kidney oval 14 mm": 13,
    "kidney oval 49 mm": 3,
    "node round 12 mm": 14,
    "node spiculated 21 mm": 24,
    "node round 33 mm": 4,
}
"""Name → place in the suite of phantoms; taken from its first 25 by site and size alone: small, middle and large."""


def phantoms() -> Made:
    """Lesions of five sites in three sizes, some on flipped and oblique grids."""
    return {name: partial(_phantom, index) for name, index in PHANTOMS.items()}


def nodules() -> Made:
    """Lung nodules of 5 to 30 mm, in equal steps of their logarithm, on slices of 1 to 2 mm."""
    made: Made = {}
    for index, diameter in enumerate(np.geomspace(5.0, 30.0, NODULES)):
        form = FORMS[index % len(FORMS)]
        made[f"{diameter:.0f} mm {form}"] = partial(_nodule, index, float(diameter), form)
    return made


def _phantom(index: int) -> tuple[Volume, BoolArray]:
    return _parts(suite_member(index))


def _nodule(index: int, diameter: float, form: str) -> tuple[Volume, BoolArray]:
    spacing = (0.7, 0.7, (1.0, 1.25, 2.0)[index % 3])
    return _parts(
        make_lesion_phantom(9000 + index, (96, 96, 48), spacing, site="lung", form=form, diameter=diameter, noise=20.0)
    )


def _parts(phantom: LesionPhantom) -> tuple[Volume, BoolArray]:
    return phantom.volume, phantom.truth
