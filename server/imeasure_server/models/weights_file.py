"""Files of weights: fp16 safetensors, read only when their hash is the one that ``SHA256SUMS`` beside them lists."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from imeasure_server.models.weights_listing import CHECKSUMS


class WeightsError(Exception):
    """Weights are missing or are not what they should be; the message says which and what to do."""


def read_weights(folder: Path, name: str, network: nn.Module) -> nn.Module:
    """Give a network its weights.

    Args:
        folder: holds the weights and ``SHA256SUMS``.
        name: of the file of weights.
        network: of the shape that the weights are for.

    Returns:
        The same network, float32, ready to answer.

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
    try:
        network.load_state_dict({key: tensor.float() for key, tensor in load(content).items()})
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


def record_hash(path: Path) -> None:
    """List a file's hash in the ``SHA256SUMS`` beside it, in place of an older one."""
    listing = path.parent / CHECKSUMS
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    kept = [line for line in lines if line.partition("  ")[2] != path.name]
    kept.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    listing.write_text("\n".join(sorted(kept, key=lambda line: line[64:])) + "\n", encoding="utf-8")


def _listed_hash(folder: Path, name: str) -> str:
    listing = folder / CHECKSUMS
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    for line in lines:
        value, _, listed = line.partition("  ")
        if listed == name:
            return value.lower()
    raise WeightsError(f"{name} is not listed in {CHECKSUMS}: install the server again.")
