"""The network's weights."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from imeasure_server.models.weights_file import WeightsError, read_weights, save_weights
from imeasure_server.segmentation.network.architecture import build_network

__all__ = ["WEIGHTS_NAME", "WeightsError", "load_network", "save_weights"]

WEIGHTS_NAME = "promptable.safetensors"


def load_network(folder: Path, name: str = WEIGHTS_NAME) -> nn.Module:
    """The network with its weights, float32, ready to answer.

    Args:
        folder: holds the weights and ``SHA256SUMS``.
        name: of the file of weights.

    Raises:
        WeightsError: the file is missing, its hash is not the listed one, or it is not this network's.
    """
    return read_weights(folder, name, build_network())
