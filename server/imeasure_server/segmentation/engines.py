"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import SegmentationEngine

_FACTORIES: dict[str, Callable[[str], SegmentationEngine]] = {GraphCutEngine.name: GraphCutEngine}

ENGINE_NAMES: tuple[str, ...] = tuple(_FACTORIES)
DEFAULT_ENGINE: str = GraphCutEngine.name


def create_engine(name: str, device: str) -> SegmentationEngine:
    """Make an engine; slow to load things are loaded here, once.

    Args:
        name: one of ``ENGINE_NAMES``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; engines that do not use it only remember it.

    Raises:
        ValueError: there is no engine of that name.
    """
    if name not in _FACTORIES:
        raise ValueError(f"There is no engine named {name!r}. Choose one of: {', '.join(ENGINE_NAMES)}.")
    return _FACTORIES[name](device)
