"""``config_aiaa.json`` of Clara Train 4.x.

Source: NVIDIA Clara Train SDK 4.0 and 4.1, "Model Config": version, type, labels, description, pre_transforms,
inference {input, output, AIAA {name, args}, TRITON, meta_data}, post_transforms, writer. What is different here:
``TRITON`` is read where there is no ``AIAA`` and runs on this server; a scanning window may also be given as
``inferer``; ``loader``, ``data``, ``dimension``, ``licence``, ``repeatable`` (false: its answers are not
remembered) and ``models`` (of a pipeline) are this server's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from imeasure_server.models.config import allowed
from imeasure_server.models.config.entries import Entry, plain, read_entries, read_entry
from imeasure_server.models.config.labels import read_labels
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.config.windows import Window, read_window
from imeasure_server.models.description import ModelType

CONFIG_NAME = "config_aiaa.json"
MAX_CONFIG_BYTES = 4 << 20

NETWORK_INFERENCES = frozenset(
    {"PyTorchInference", "TritonInference", "TRTISInference", "TFInference", "TorchScriptInference", "Inference"}
)
OTHER_INFERENCES = {
    "BundleInference": "bundle",
    "InferencePipeline": "pipeline",
    "PipelineInference": "pipeline",
    "NNInteractiveInference": "nninteractive",
    "nnInteractive": "nninteractive",
    "nninteractive": "nninteractive",
    "SAM2Inference": "sam2",
    "SAM2": "sam2",
    "sam2": "sam2",
}
LOADERS = ("torchscript", "network", "bundle", "pipeline", "nninteractive", "sam2")
WRITERS = frozenset(
    {"Writer", "ITKWriter", "NiftiWriter", "WriteNifti", "NibabelWriter", "PNGWriter", "ClassificationWriter"}
)


@dataclass(frozen=True)
class AiaaConfig:
    """A config that was read and found to ask for nothing that it may not.

    Attributes:
        type, version, labels, description: see `ModelDescription`; ``labels`` maps names to values.
        loader: see `ModelReference`; None where the data decides.
        pre_transforms, post_transforms: in order.
        inputs: keys of the network's inputs, concatenated along the channels.
        output: key of its output.
        network: for weights without a network.
        window: of scanning-window inference, or None for all at once.
        batched: whether the pre-transforms already add the batch dimension.
        result: key of the JSON in the answer.
        dimension: 2 for a model that looks at single slices.
        deepgrow: of a deepgrow model.
        padding, roi, licence, internal_name, interactive: see `ModelDescription`.
        args: all arguments of the inference, for adapters.
        steps: of a pipeline.
        raw: the config as it was given.
    """

    type: ModelType
    version: str
    labels: Mapping[str, int]
    description: str
    loader: str | None
    pre_transforms: tuple[Entry, ...] = ()
    post_transforms: tuple[Entry, ...] = ()
    inputs: tuple[str, ...] = ("image",)
    output: str = "model"
    network: Entry | None = None
    window: Window | None = None
    batched: bool = False
    result: str = "result"
    dimension: Literal[2, 3] = 3
    deepgrow: Literal["2d", "3d"] | None = None
    padding: float | None = None
    roi: tuple[int, int, int] | None = None
    licence: str = ""
    internal_name: str = ""
    interactive: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


def load_config(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ConfigError: there is none.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(path.name, "This is too large for a config.")
        return decode_config(path.read_bytes())
    except OSError as error:
        raise ConfigError(path.name, f"It cannot be read ({error.strerror}).") from error


def decode_config(content: bytes) -> dict[str, Any]:
    """Raises:
    ConfigError: it is no JSON object.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(CONFIG_NAME, f"It is no valid JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ConfigError(CONFIG_NAME, "It must be a JSON object.")
    return value


def read_config(raw: Mapping[str, Any]) -> AiaaConfig:
    """Understand a config.

    Raises:
        ConfigError: it cannot be used, or asks for more than it may; names the entry.
    """
    kind = _read_type(raw.get("type"))
    inference = _mapping(raw.get("inference"), "inference")
    backend, where = _backend(inference)
    args = {
        str(key): plain(value, f"{where}.args.{key}") for key, value in _mapping(backend.get("args"), where).items()
    }
    pre = tuple(allowed.transform(*entry) for entry in read_entries(raw.get("pre_transforms"), "pre_transforms"))
    post = tuple(allowed.transform(*entry) for entry in read_entries(raw.get("post_transforms"), "post_transforms"))
    about = _about(raw, inference)
    dimension = _dimension(raw, args, pre)
    deepgrow: Literal["2d", "3d"] = "2d" if dimension == 2 else "3d"
    return AiaaConfig(
        type=kind,
        version=str(raw.get("version", "1")),
        labels=read_labels(raw.get("labels")),
        description=str(raw.get("description", "")).strip(),
        loader=_loader(raw, backend, kind, where),
        pre_transforms=pre,
        post_transforms=post,
        inputs=_keys(inference.get("input", inference.get("image", "image")), "inference.input"),
        output=_keys(inference.get("output", _first_key(post, "model")), "inference.output")[0],
        network=_network(args, where),
        window=read_window(args, where),
        batched=args.get("is_batched_data") is True,
        result=_writer_key(raw.get("writer")),
        dimension=dimension,
        deepgrow=deepgrow if kind is ModelType.DEEPGROW else None,
        padding=_number(about.get("padding"), "padding"),
        roi=_roi(about.get("roi")),
        licence=str(raw.get("licence", raw.get("license", ""))),
        internal_name=str(about.get("internal name", "")),
        interactive=raw.get("interactive") is True,
        args=args,
        steps=_steps(raw, args, kind),
        raw=dict(raw),
    )


def _read_type(value: object) -> ModelType:
    if value is None:
        raise ConfigError("type", f"It is missing. Types are {', '.join(kind.value for kind in ModelType)}.")
    spelled = {"dextr3d": "annotation", "deepedit": "deepgrow"}.get(str(value).lower(), str(value).lower())
    try:
        return ModelType(spelled)
    except ValueError as error:
        kinds = ", ".join(kind.value for kind in ModelType)
        raise ConfigError("type", f"There is no type {value!r}. Types are {kinds}.") from error


def _backend(inference: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The ``AIAA`` section, else ``TRITON``'s, else the inference itself, as Clara Train 3 had it."""
    for name in ("AIAA", "aiaa", "TRITON", "triton"):
        if name in inference:
            return _mapping(inference[name], f"inference.{name}"), f"inference.{name}"
    if "name" in inference or "args" in inference:
        return inference, "inference"
    return {}, "inference.AIAA"


def _loader(raw: Mapping[str, Any], backend: Mapping[str, Any], kind: ModelType, where: str) -> str | None:
    given = raw.get("loader")
    if given is not None:
        if given not in LOADERS:
            raise ConfigError("loader", f"There is no loader {given!r}. Loaders are {', '.join(LOADERS)}.")
        return str(given)
    path = backend.get("path") or backend.get("name")
    if path is None:
        return "pipeline" if kind is ModelType.PIPELINE else None
    package, _, name = str(path).rpartition(".")
    if package.partition(".")[0] in ("", "aiaa", "nvmidl"):
        if name in OTHER_INFERENCES:
            return OTHER_INFERENCES[name]
        if name in NETWORK_INFERENCES:
            return "pipeline" if kind is ModelType.PIPELINE else None
    raise ConfigError(
        f"{where}.name",
        f"There is no inference {path!r} here, and code of one's own is not loaded. Use PyTorchInference, or say with "
        f'"loader" which of {", ".join(LOADERS)} it is.',
    )


def _network(args: Mapping[str, Any], where: str) -> Entry | None:
    value = args.get("network")
    if value is None:
        return None
    entry = read_entry(value, f"{where}.args.network")
    return None if entry is None else allowed.network(*entry)


def _about(raw: Mapping[str, Any], inference: Mapping[str, Any]) -> dict[str, Any]:
    """What clients are told beside the rest, wherever the versions of AIAA have it."""
    about: dict[str, Any] = {}
    for source in (inference.get("additional_info"), inference.get("meta_data"), raw.get("meta_data"), raw):
        if isinstance(source, Mapping):
            about.update({key: source[key] for key in ("padding", "roi", "internal name") if key in source})
    return about


def _dimension(raw: Mapping[str, Any], args: Mapping[str, Any], pre: Sequence[Entry]) -> Literal[2, 3]:
    given = raw.get("dimension", args.get("dimension", args.get("spatial_dims")))
    if given is None and raw.get("deepgrow") in ("2d", "3d"):
        given = int(str(raw["deepgrow"])[0])
    if given is None:
        for entry in pre:
            if entry.name == "Fetch2DSliced":
                given = 2
            if entry.name == "AddGuidanceFromPointsd":
                given = entry.args.get("spatial_dims", entry.args.get("dimensions", 2))
    if given is None:
        network = args.get("network")
        network_args = network.get("args") if isinstance(network, Mapping) else None
        given = network_args.get("spatial_dims") if isinstance(network_args, Mapping) else None
    if given not in (None, 2, 3):
        raise ConfigError("dimension", "It must be 2 or 3.")
    return 2 if given == 2 else 3


def _writer_key(value: object) -> str:
    if value is None:
        return "result"
    entry = read_entry(value, "writer")
    if entry is None:
        return "result"
    path, args, where = entry
    if path.rpartition(".")[2] not in WRITERS or path.partition(".")[0] not in ("aiaa", "monai", path):
        raise ConfigError(f"{where} {path}", f"Of writers there are {', '.join(sorted(WRITERS))}.")
    return str(args.get("json") or "result")


def _steps(raw: Mapping[str, Any], args: Mapping[str, Any], kind: ModelType) -> tuple[Mapping[str, Any], ...]:
    value = raw.get("models", args.get("models", raw.get("pipeline")))
    if kind is not ModelType.PIPELINE:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ConfigError("models", "A pipeline needs the list of the names of the models that it runs.")
    steps = []
    for index, item in enumerate(value):
        step = {"model": item} if isinstance(item, str) else item
        where = f"models[{index}]"
        if not isinstance(step, Mapping) or not isinstance(step.get("model"), str):
            raise ConfigError(where, 'Each must be a name, or an object with "model".')
        region = step.get("region", "image")
        if region not in ("image", "previous"):
            raise ConfigError(f"{where}.region", 'It must be "image" or "previous".')
        margin = _number(step.get("margin", 0), f"{where}.margin") or 0.0
        steps.append({"model": step["model"], "region": region, "margin": margin})
    return tuple(steps)


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(where, "This must be an object.")
    return value


def _keys(value: object, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not values or not all(isinstance(item, str) for item in values):
        raise ConfigError(where, "This must be a key, or a list of keys.")
    return tuple(values)


def _first_key(entries: Sequence[Entry], default: str) -> str:
    """What the first transform works on."""
    for entry in entries:
        keys = entry.args.get("keys")
        if isinstance(keys, str):
            return keys
        if isinstance(keys, list) and keys:
            return str(keys[0])
    return default


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ConfigError(where, "This must be a number, and not negative.")
    return float(value)


def _roi(value: object) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if (
        not isinstance(value, Sequence)
        or len(value) != 3
        or not all(isinstance(item, int) and 0 < item < 1 << 16 for item in value)
    ):
        raise ConfigError("roi", "This must be three positive numbers of voxels.")
    return (int(value[0]), int(value[1]), int(value[2]))
