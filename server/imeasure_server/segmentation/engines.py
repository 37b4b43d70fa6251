"""The engines by name."""

from __future__ import annotations

import logging
from collections.abc import Callable

from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import SegmentationEngine

log = logging.getLogger(__name__)

NETWORK = "network"


def _network(device: str) -> SegmentationEngine:
    """The promptable network, or the classical engine when its weights cannot be used."""
    from imeasure_server.segmentation.network.engine import NetworkEngine
    from imeasure_server.segmentation.network.weights import WeightsError

    try:
        return NetworkEngine(device)
    except WeightsError as error:
        log.warning("The classical engine is used instead of the network: %s", error)
        return GraphCutEngine(device)


_FACTORIES: dict[str, Callable[[str], SegmentationEngine]] = {NETWORK: _network, GraphCutEngine.name: GraphCutEngine}

ENGINE_NAMES: tuple[str, ...] = tuple(_FACTORIES)
DEFAULT_ENGINE: str = NETWORK


def create_engine(name: str, device: str) -> SegmentationEngine:
    """Make an engine; slow to load things are loaded here, once.

    The network whose weights are missing or broken is replaced by the classical engine, with the reason in the log:
    the result's ``name`` tells which one it is.

    Args:
        name: one of ``ENGINE_NAMES``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; engines that do not use it only remember it.

    Raises:
        ValueError: there is no engine of that name.
    """
    if name not in _FACTORIES:
        raise ValueError(f"There is no engine named {name!r}. Choose one of: {', '.join(ENGINE_NAMES)}.")
    return _FACTORIES[name](device)
