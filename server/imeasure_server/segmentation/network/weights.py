"""The network's weights: fp16 safetensors, read only when their hash is the listed one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from imeasure_server.segmentation.network.architecture import build_network

WEIGHTS_NAME = "promptable.safetensors"


class WeightsError(Exception):
    """Weights are missing or are not what they should be; the message says which and what to do."""


def load_network(folder: Path, name: str = WEIGHTS_NAME) -> nn.Module:
    """The network with its weights, float32, ready to answer.

    Args:
        folder: holds the weights and ``SHA256SUMS``.
        name: of the file of weights.

    Raises:
        WeightsError: the file is missing, its hash is not the listed one, or it is not this network's.
    """
    path = folder / name
    expected = _listed_hash(folder, name)
    if not path.is_file():
        raise WeightsError(f"{name} is missing: install the server again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsError(f"{name} is damaged, its SHA-256 is not the listed one: install the server again.")
    network = build_network()
    try:
        tensors = {key: tensor.float() for key, tensor in load(content).items()}
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{name} does not hold this network's weights: install the server again.") from error
    return network.eval()


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights as fp16 safetensors.

    Raises:
        WeightsError: a weight cannot be written in fp16.
    """
    tensors: dict[str, Tensor] = {k: v.detach().cpu().half().contiguous() for k, v in network.state_dict().items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise WeightsError("A weight is too large for fp16 or is not a number: the training has failed.")
    save_file(tensors, path, {"format": "pt"})


def _listed_hash(folder: Path, name: str) -> str:
    listing = folder / "SHA256SUMS"
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    for line in lines:
        value, _, listed = line.partition("  ")
        if listed == name:
            return value.lower()
    raise WeightsError(f"{name} is not listed in SHA256SUMS: install the server again.")
