"""The data sets that every method is compared on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.real_cases import mr_cases, organ_cases, sts_cases

from imeasure_server.imaging.volume import BoolArray, Volume
from phantoms import lesion_suite, make_lesion_phantom

NODULES = 12
PHANTOMS = 25
SETS = {
    "sts": "sts-ibsi validation",
    "nodules": "synthetic lung nodules, 5 to 30 mm",
    "phantoms": "synthetic lesions",
    "organs": "organs of totalsegmentator-example (labels made by a model: agreement, not accuracy)",
    "mr": "MR crops",
}


@dataclass(frozen=True, eq=False)
class Case:
    """An image and the object in it.

    Attributes:
        name: ``set/case``.
        volume: the whole image.
        truth: (x, y, z) bool, one object.
    """

    name: str
    volume: Volume
    truth: BoolArray


def cases_of(kind: str, data: Path) -> Iterator[Case]:
    """The cases of one data set, a key of ``SETS``; none when the data is not here."""
    if kind == "sts":
        found = sts_cases(data, "validation")
    elif kind == "mr":
        found = mr_cases(data)
    elif kind == "organs":
        found = organ_cases(data)
    elif kind == "phantoms":
        found = ((f"{p.description} #{i}", p.volume, p.truth) for i, p in enumerate(lesion_suite(PHANTOMS)))
    else:
        found = _nodules()
    for name, volume, truth in found:
        yield Case(f"{kind}/{name}", volume, truth)


def _nodules() -> Iterator[tuple[str, Volume, BoolArray]]:
    for index, diameter in enumerate(np.geomspace(5.0, 30.0, NODULES)):
        form = ("round", "oval", "lobulated", "spiculated")[index % 4]
        thickness = (1.0, 1.25, 2.0)[index % 3]
        phantom = make_lesion_phantom(
            9000 + index,
            (96, 96, 48),
            (0.7, 0.7, thickness),
            site="lung",
            form=form,
            diameter=float(diameter),
            noise=20.0,
        )
        yield f"{diameter:.0f} mm {form}", phantom.volume, phantom.truth
