"""The data sets that every method is compared on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bench.fingerprints import REPOSITORY, file_hash, source_hash
from bench.real_cases import RealCase, mr_files, organ_files, sts_files

from imeasure_server.imaging.volume import BoolArray, Volume
from phantoms import LesionPhantom, make_lesion_phantom
from phantoms.suite import suite_member

SETS = {
    "sts": "sts-ibsi validation",
    "nodules": "synthetic lung nodules, 5 to 30 mm",
    "phantoms": "synthetic lesions of liver, lung, kidney and soft tissue, and nodes, 9 to 63 mm",
    "organs": "organs of totalsegmentator-example (labels made by a model: agreement, not accuracy)",
    "mr": "MR crops with a lesion",
}

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


@dataclass(frozen=True)
class Source:
    """A case that is not loaded yet.

    Attributes:
        name: ``set/case``.
        version: a hash that changes when the image, the object or their reading may.
    """

    name: str
    version: str
    _read: Callable[[], tuple[Volume, BoolArray]]

    def load(self) -> Case:
        return Case(self.name, *self._read())


def sources(kind: str, data: Path) -> list[Source]:
    """The cases of one data set, a key of ``SETS``; none when its data is not here.

    Args:
        kind: key of ``SETS``.
        data: folder of the real images.
    """
    if kind == "sts":
        return [_real(kind, case) for case in sts_files(data, "validation")]
    if kind == "mr":
        return [_real(kind, case) for case in mr_files(data)]
    if kind == "organs":
        return [_real(kind, case) for case in organ_files(data)]
    version = _phantom_version()
    if kind == "phantoms":
        made = {name: partial(_phantom, index) for name, index in PHANTOMS.items()}
    else:
        made = dict(_nodules())
    return [Source(f"{kind}/{name}", version, read) for name, read in made.items()]


def source_of(name: str, data: Path) -> Source:
    """The case ``set/case``; KeyError when it is not here."""
    found = {source.name: source for source in sources(name.partition("/")[0], data)}
    return found[name]


def _real(kind: str, case: RealCase) -> Source:
    version = file_hash([case.image, case.mask]) + source_hash([Path(__file__).with_name("real_cases.py")])
    return Source(f"{kind}/{case.name}", version, case.read)


def _phantom_version() -> str:
    folder = REPOSITORY / "Testing" / "phantoms"
    return source_hash([Path(__file__), *(p for p in folder.glob("*.py") if p.name != "clicks.py")])


def _phantom(index: int) -> tuple[Volume, BoolArray]:
    return _parts(suite_member(index))


def _parts(phantom: LesionPhantom) -> tuple[Volume, BoolArray]:
    return phantom.volume, phantom.truth


def _nodules() -> Iterator[tuple[str, Callable[[], tuple[Volume, BoolArray]]]]:
    for index, diameter in enumerate(np.geomspace(5.0, 30.0, NODULES)):
        form = FORMS[index % len(FORMS)]
        yield f"{diameter:.0f} mm {form}", partial(_nodule, index, float(diameter), form)


def _nodule(index: int, diameter: float, form: str) -> tuple[Volume, BoolArray]:
    thickness = (1.0, 1.25, 2.0)[index % 3]
    return _parts(
        make_lesion_phantom(
            9000 + index,
            (96, 96, 48),
            (0.7, 0.7, thickness),
            site="lung",
            form=form,
            diameter=diameter,
            noise=20.0,
        )
    )
