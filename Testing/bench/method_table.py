"""All methods of the comparison by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.fingerprints import file_hash, imported_sources, source_hash
from bench.methods import Method, Unavailable, sphere

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.prompts import Prompts

BENCH = Path(__file__).parent
SEGMENTATION = "imeasure_server.segmentation"


@dataclass(frozen=True)
class Entry:
    """One method of the table.

    Attributes:
        make: loads it; raises ``Unavailable`` when it cannot run here.
        version: a hash that changes when its answers may.
        refines: whether it reads a previous mask, whoever made it.
    """

    make: Callable[[], Method]
    version: Callable[[], str]
    refines: bool = False


def engine_method(name: str) -> Method:
    """An engine of the server; an empty mask where it says that there is nothing.

    Raises:
        Unavailable: its weights are missing or do not fit.
    """
    from imeasure_server.segmentation.engine import EmptySegmentationError
    from imeasure_server.segmentation.engines import create_engine

    engine = create_engine(name, "cpu")
    if engine.name != name:
        raise Unavailable(f"the engine {name} has no weights that it can use.")

    def run(volume: Volume, prompts: Prompts) -> BoolArray:
        try:
            return engine.segment(volume, prompts)
        except EmptySegmentationError:
            return np.zeros(volume.geometry.shape, dtype=bool)

    return run


def _network_version() -> str:
    from imeasure_server.models.weights_listing import WEIGHTS

    sources = source_hash(imported_sources(f"{SEGMENTATION}.network.engine", SEGMENTATION))
    return sources + file_hash(sorted(WEIGHTS.glob("promptable.safetensors")))


def _engine_version() -> str:
    return source_hash(imported_sources(f"{SEGMENTATION}.classical", SEGMENTATION))


def _classical(name: str) -> Entry:
    def make() -> Method:
        from bench import classical_methods

        method: Method = getattr(classical_methods, name)
        return method

    return Entry(make, lambda: source_hash([BENCH / "classical_methods.py"]))


METHODS: dict[str, Entry] = {
    "network": Entry(lambda: engine_method("network"), _network_version, refines=True),
    "classical engine": Entry(lambda: engine_method("graph-cut"), _engine_version, refines=True),
    "sphere": Entry(lambda: sphere, lambda: source_hash([BENCH / "methods.py"])),
    "ConfidenceConnected": _classical("confidence_connected"),
    "random walker": _classical("random_walk"),
    "Slicer grow-cut": _classical("grow_cut"),
    "Histogram+GraphCut": _classical("histogram_cut"),
}
