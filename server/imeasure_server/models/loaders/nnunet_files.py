"""Files of nnU-Net from somebody else, looked at before nnU-Net opens them.

nnU-Net imports whatever class ``plans.json`` names, and nnInteractive unpickles its checkpoint without restriction. So
both are held to what they are for: the plans to networks, the checkpoint to tensors, numbers and texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import ModelFailed

NETWORKS = "dynamic_network_architectures.architectures."
PARTS = "torch.nn."


def require_plain_plans(path: Path) -> None:
    """Raises:
    ModelFailed: the plans name code other than networks and parts of them, or cannot be read.
    """
    try:
        plans = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelFailed("The plans.json of the weights cannot be read.") from error
    for architecture in _architectures(plans):
        named = [architecture.get("network_class_name")]
        arguments = architecture.get("arch_kwargs")
        for key in architecture.get("_kw_requires_import") or ():
            named.append(arguments.get(key) if isinstance(arguments, dict) else None)
        allowed = [name is None or str(name).startswith((NETWORKS, PARTS)) for name in named]
        if not all(allowed):
            raise ModelFailed("The plans.json of the weights names code that is no network. It is not loaded.")


def _architectures(value: object) -> Iterator[dict[str, Any]]:
    """Every object, however deep, that names a network or says what is imported for one."""
    if isinstance(value, dict):
        if "network_class_name" in value or "_kw_requires_import" in value:
            yield value
        for item in value.values():
            yield from _architectures(item)
    elif isinstance(value, list):
        for item in value:
            yield from _architectures(item)


def require_plain_checkpoint(path: Path) -> None:
    """Raises:
    ModelFailed: unpickling it would do more than make tensors, numbers, texts and containers of them.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_numbers()):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(
            "The checkpoint holds more than weights and numbers, or is damaged. It is not loaded, since that could run "
            "code. Save it again without the rest: nnInteractive's checkpoint_cleansing.py does that."
        ) from error
    if not isinstance(checkpoint, dict) or not {"trainer_name", "init_args", "network_weights"} <= checkpoint.keys():
        raise ModelFailed("The checkpoint is not one of nnU-Net.")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _numbers() -> list[Any]:
    """NumPy's numbers and arrays, which nnU-Net's logs in a checkpoint are made of: data, not code."""
    from numpy._core.multiarray import _reconstruct, scalar

    types = {type(np.dtype(name)) for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")}
    both = [(function, f"numpy.core.multiarray.{function.__name__}") for function in (_reconstruct, scalar)]
    return [*both, _reconstruct, scalar, np.dtype, np.ndarray, *types]
