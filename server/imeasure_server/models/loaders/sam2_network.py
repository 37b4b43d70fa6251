"""Builds SAM 2's network from a config of its package, or from one like them in the model's folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from imeasure_server.models import third_party
from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import ModelFailed

PREDICTOR = "sam2.sam2_video_predictor.SAM2VideoPredictor"
PARTS = frozenset(
    {
        "sam2.modeling.backbones.hieradet.Hiera",
        "sam2.modeling.backbones.image_encoder.FpnNeck",
        "sam2.modeling.backbones.image_encoder.ImageEncoder",
        "sam2.modeling.memory_attention.MemoryAttention",
        "sam2.modeling.memory_attention.MemoryAttentionLayer",
        "sam2.modeling.memory_encoder.CXBlock",
        "sam2.modeling.memory_encoder.Fuser",
        "sam2.modeling.memory_encoder.MaskDownSampler",
        "sam2.modeling.memory_encoder.MemoryEncoder",
        "sam2.modeling.position_encoding.PositionEmbeddingSine",
        "sam2.modeling.sam.transformer.RoPEAttention",
        "sam2.modeling.sam2_base.SAM2Base",
        PREDICTOR,
    }
)
"""Classes that a config may name: those that the package's own configs do."""

OURS = {
    # what build_sam2_video_predictor sets for interactive use, without what needs its CUDA extension
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
    "binarize_mask_from_pts_for_mem_enc": True,
    # so that a slice keeps the correction made on it when the object is followed again
    "add_all_frames_to_correct_as_cond": True,
    "compile_image_encoder": False,
    "fill_hole_area": 0,
}

_OFFICIAL = re.compile(r"(sam2(?:\.1)?)_hiera_(t|s|b\+|l|tiny|small|base_plus|large)")
_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe one, for which ``1e-6`` is a number, as it is for the one that the package uses."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def build(folder: Path, args: Mapping[str, Any], device: str) -> Any:
    """The predictor with the weights in a model's folder, on the device.

    Args:
        args: ``checkpoint`` and ``config``, names of files in the folder, where there is more than one; ``config`` may
            also be one of the package's (``sam2.1_hiera_t``), which a checkpoint's own name tells too; ``image_size``.

    Raises:
        ModelFailed: the files are not there, ask for more than networks, or do not belong together.
    """
    checkpoint = _checkpoint(folder, args.get("checkpoint"))
    model = _config(folder, args.get("config"), checkpoint)
    _require_networks(model)
    size = args.get("image_size", model.get("image_size"))
    if not isinstance(size, int) or size % 32 != 0 or not 64 <= size <= 2048:
        raise ModelFailed("The image_size must be a multiple of 32 between 64 and 2048.")
    model = {**model, **OURS, "_target_": PREDICTOR, "image_size": size}
    try:
        predictor = import_module("hydra.utils").instantiate(import_module("omegaconf").OmegaConf.create(model))
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(f"SAM 2 cannot be built from this config ({type(error).__name__}).") from error
    _load_weights(predictor, checkpoint)
    return predictor.to(device).eval()


def _checkpoint(folder: Path, named: object) -> Path:
    if named is not None:
        place = third_party.find_weights(folder, str(named)) if Path(str(named)).name == str(named) else None
        if place is None:
            raise ModelFailed("The checkpoint that the config names is not in the model's folder.")
        return place / str(named)
    found = sorted(path for pattern in ("*.pt", "*/*.pt", "*.pth", "*/*.pth") for path in folder.glob(pattern))
    if len(found) != 1:
        raise ModelFailed('There must be one .pt file in the model\'s folder; of several, say which with "checkpoint".')
    return found[0]


def _config(folder: Path, named: object, checkpoint: Path) -> dict[str, Any]:
    """The ``model`` section of the config."""
    path: Path | None = None
    if named is None:
        own = sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")])
        path = own[0] if len(own) == 1 else _official(checkpoint.stem)
    elif Path(str(named)).name == str(named):
        place = third_party.find_weights(folder, str(named))
        path = place / str(named) if place is not None else _official(str(named).removesuffix(".yaml"))
    if path is None:
        raise ModelFailed('Say which config the weights are for: "config" among the args, such as "sam2.1_hiera_t".')
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ModelFailed("The config of SAM 2 cannot be read.") from error
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise ModelFailed('The config of SAM 2 has no "model".')
    return model


def _official(name: str) -> Path | None:
    """The package's config of that name, or of the official checkpoint of that name."""
    match = _OFFICIAL.match(name)
    if match is None:
        return None
    version, size = match.groups()
    package = Path(str(next(iter(import_module("sam2").__path__))))
    path = package / "configs" / version / f"{version}_hiera_{_LETTERS.get(size, size)}.yaml"
    return path if path.is_file() else None


def _require_networks(value: object) -> None:
    """Raises:
    ModelFailed: a config names other code, other files, or something to be evaluated.
    """
    if isinstance(value, dict):
        target = value.get("_target_")
        ours = {"_target_"} if target in PARTS else set()
        special = {str(key) for key in value if str(key).startswith("_")} - ours
        if special or value.get("weights_path") is not None:
            raise ModelFailed("The config of SAM 2 asks for more than its networks. It is not loaded.")
        for item in value.values():
            _require_networks(item)
    elif isinstance(value, list):
        for item in value:
            _require_networks(item)
    elif isinstance(value, str) and "${" in value:
        raise ModelFailed("The config of SAM 2 has expressions, which are not evaluated. Write the values instead.")


def _load_weights(predictor: Any, checkpoint: Path) -> None:
    import torch

    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state = content["model"] if isinstance(content, dict) and "model" in content else content
        predictor.load_state_dict(state)
    except Exception as error:
        if out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(
            "The weights do not load: they are damaged, hold more than tensors, or belong to another config of SAM 2."
        ) from error
