"""The data sets that every method is compared on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.fingerprints import REPOSITORY, file_hash, source_hash
from bench.real_cases import RealCase, mr_files, organ_files, sts_files
from bench.synthetic_cases import Made, nodules, phantoms

from imeasure_server.imaging.volume import BoolArray, Volume

SETS = {
    "sts": "sts-ibsi validation",
    "nodules": "synthetic lung nodules, 5 to 30 mm",
    "phantoms": "synthetic lesions of liver, lung, kidney and soft tissue, and nodes, 9 to 63 mm",
    "organs": "organs of totalsegmentator-example (labels made by a model: agreement, not accuracy)",
    "mr": "MR crops with a lesion",
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
    return _synthetic(kind, nodules() if kind == "nodules" else phantoms())


def some(found: list[Source], limit: int | None) -> list[Source]:
    """At most ``limit`` of the cases of a set, spread over it; all for None."""
    if limit is None or limit >= len(found):
        return found
    return [found[index] for index in np.rint(np.linspace(0, len(found) - 1, limit)).astype(int)]


def source_of(name: str, data: Path) -> Source:
    """The case ``set/case``; KeyError when it is not here."""
    found = {source.name: source for source in sources(name.partition("/")[0], data)}
    return found[name]


def _real(kind: str, case: RealCase) -> Source:
    version = file_hash([case.image, case.mask]) + source_hash([Path(__file__).with_name("real_cases.py")])
    return Source(f"{kind}/{case.name}", version, case.read)


def _synthetic(kind: str, made: Made) -> list[Source]:
    files = (REPOSITORY / "Testing" / "phantoms").glob("*.py")
    version = source_hash(
        [Path(__file__).with_name("synthetic_cases.py"), *(f for f in files if f.name != "clicks.py")]
    )
    return [Source(f"{kind}/{name}", version, make) for name, make in made.items()]
