"""Networks from files: TorchScript, or a class of MONAI with its weights. Nothing that is loaded runs Python code."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imeasure_server.models.config.entries import Entry
from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import ModelFailed
from imeasure_server.models.loaders.failures import said
from imeasure_server.models.loaders.script_code import check_code

FIRST_SAFE_TORCH = (2, 6)
"""Before it, `torch.load` with ``weights_only`` could be made to run code (CVE-2025-32434)."""
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "network_weights")


def load_torchscript(path: Path, device: str) -> nn.Module:
    """A TorchScript module on the device, ready to answer.

    Raises:
        ModelFailed: it does not load, or would do more than compute.
    """
    check_code(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: nn.Module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
            return module.eval()
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(f"The TorchScript file does not load ({said(error)}).") from error


def load_network(entry: Entry, weights: Path, device: str) -> nn.Module:
    """A network of ``monai.networks.nets`` with its weights on the device, ready to answer.

    Raises:
        ModelFailed: there is no such network here, its arguments are wrong, or the weights are another one's.
    """
    network = build_network(entry)
    try:
        network.load_state_dict(read_state(weights))
        return network.to(device).eval()
    except ModelFailed:
        raise
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(f"The weights are not those of {entry.name} with these arguments ({said(error)}).") from error


def build_network(entry: Entry) -> nn.Module:
    """A network without weights, on the CPU.

    Raises:
        ModelFailed: see `load_network`.
    """
    import monai.networks.nets as nets

    kind = getattr(nets, entry.name, None)
    if not inspect.isclass(kind) or not issubclass(kind, nn.Module):
        raise ModelFailed(f"The MONAI of this server has no network {entry.name}.")
    args = {"spatial_dims" if key == "dimensions" else key: value for key, value in entry.args.items()}
    try:
        network: nn.Module = kind(**args)
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(f"{entry.where or entry.name}: the network cannot be made ({said(error)}).") from error
    return network


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from safetensors or from a file of `torch.save`, read without running anything in it.

    Raises:
        ModelFailed: it holds anything else.
    """
    try:
        with path.open("rb") as file:
            is_safetensors = file.read(9)[8:] == b"{"
        if is_safetensors:
            from safetensors.torch import load_file

            return load_file(path)
        if tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2]) < FIRST_SAFE_TORCH:
            raise ModelFailed("The torch of this server is too old to read .pt weights safely: send safetensors.")
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except ModelFailed:
        raise
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(
            "The weights cannot be read: a file of weights must hold tensors and nothing else, since anything else "
            "could run code."
        ) from error
    while isinstance(content, Mapping) and not _is_state(content):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not _is_state(content):
        raise ModelFailed("The file of weights holds no state dict.")
    prefix = "module." if all(str(key).startswith("module.") for key in content) else ""
    return {str(key).removeprefix(prefix): value for key, value in content.items()}


def module_bytes(module: nn.Module) -> int:
    """Memory of a network's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))


def _is_state(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())
