"""MONAI bundles: what ``configs/metadata.json`` and ``configs/inference.json`` say, as an AIAA config.

Only what leads to the answer is looked at: ``preprocessing``, ``network_def``, ``inferer`` and ``postprocessing``.
Imports, datasets, handlers and the program of the bundle are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from imeasure_server.models.config import allowed
from imeasure_server.models.config.aiaa import MAX_CONFIG_BYTES
from imeasure_server.models.config.bundle_values import BundleValues
from imeasure_server.models.config.data_files import INFERENCES, METADATA
from imeasure_server.models.config.problems import ConfigError

WEIGHTS = ("models/model.pt", "models/model.safetensors")
SCRIPTS = ("models/model.ts",)


def bundle_config(folder: Path) -> dict[str, Any]:
    """The AIAA config that a bundle amounts to.

    Raises:
        ConfigError: it cannot be used, or asks for more than a config may; names the entry.
    """
    metadata = _read(folder / METADATA)
    path = next(folder / name for name in INFERENCES if (folder / name).is_file())
    values = BundleValues(_read(path), path.name)
    config: dict[str, Any] = {
        "version": str(metadata.get("version", "1")),
        "type": _type(metadata),
        "labels": _labels(metadata),
        "description": str(metadata.get("description", "")),
        "licence": str(metadata.get("license", "") or "")[:200],
        "loader": "bundle",
        "pre_transforms": values.transforms("preprocessing", "preprocessing_transforms"),
        "post_transforms": values.transforms("postprocessing", "postprocessing_transforms"),
    }
    args: dict[str, Any] = {}
    inferer = values.entry("inferer")
    if inferer is not None:
        args["inferer"] = inferer
    if any((folder / name).is_file() for name in WEIGHTS):
        network = _network(values, any((folder / name).is_file() for name in SCRIPTS))
        if network is not None:
            args["network"] = network
    dimension = _dimension(metadata, args)
    if dimension is not None:
        config["dimension"] = dimension
    config["inference"] = {"input": "image", "output": "pred", "AIAA": {"name": "PyTorchInference", "args": args}}
    return config


def bundle_data(folder: Path, has_network: bool) -> Path:
    """The file that a bundle's network is loaded from.

    Raises:
        ConfigError: there is none.
    """
    names = (*WEIGHTS, *SCRIPTS) if has_network else SCRIPTS
    for name in names:
        if (folder / name).is_file():
            return folder / name
    wanted = "models/model.pt or models/model.ts" if has_network else "models/model.ts"
    raise ConfigError("data", f"The bundle has no {wanted}.")


def _network(values: BundleValues, has_script: bool) -> dict[str, Any] | None:
    """The network for the bundle's weights; None where its TorchScript file has to do.

    Raises:
        ConfigError: the network is none that a config may name, and there is no TorchScript file.
    """
    try:
        entry = values.entry("network_def", "network", "net")
        if entry is not None:
            allowed.network(entry["name"], entry["args"], "network_def")
        return entry
    except ConfigError:
        if has_script:
            return None
        raise


def _read(path: Path) -> dict[str, Any]:
    where = f"configs/{path.name}"
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(where, "This is too large for a config.")
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(where, f"It cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(where, "It is no valid JSON or YAML.") from error
    if not isinstance(value, dict):
        raise ConfigError(where, "It must be an object.")
    return value


def _type(metadata: Mapping[str, Any]) -> str:
    """A bundle says in words what it is for; its output's type says whether that is a mask."""
    output = _output(metadata)
    task = f"{metadata.get('task', '')} {output.get('type', '')}".lower()
    if "classification" in task or output.get("type") == "probabilities":
        return "classification"
    if "deepedit" in str(metadata.get("name", "")).lower():
        return "deepgrow"
    return "segmentation"


def _labels(metadata: Mapping[str, Any]) -> dict[str, int]:
    channels = _output(metadata).get("channel_def") or _output(metadata).get("label_def")
    if not isinstance(channels, Mapping):
        return {}
    labels = {}
    for number, name in channels.items():
        if str(number).isdecimal() and str(name).lower() not in ("background", "image"):
            labels[str(name)] = int(number)
    if "0" in {str(value) for value in labels.values()}:
        return {name: number + 1 for name, number in labels.items()}  # no background: one channel for each label
    return labels


def _dimension(metadata: Mapping[str, Any], args: Mapping[str, Any]) -> int | None:
    network = args.get("network")
    if isinstance(network, Mapping) and network.get("args", {}).get("spatial_dims") in (2, 3):
        return int(network["args"]["spatial_dims"])
    data = metadata.get("network_data_format")
    inputs = data.get("inputs") if isinstance(data, Mapping) else None
    image = inputs.get("image") if isinstance(inputs, Mapping) else None
    shape = image.get("spatial_shape") if isinstance(image, Mapping) else None
    return len(shape) if isinstance(shape, list) and len(shape) in (2, 3) else None


def _output(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    data = metadata.get("network_data_format")
    outputs = data.get("outputs") if isinstance(data, Mapping) else None
    pred = outputs.get("pred") if isinstance(outputs, Mapping) else None
    return pred if isinstance(pred, Mapping) else {}
