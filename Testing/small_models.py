"""Small real models that tests make: TorchScript, weights of MONAI networks, bundles, and their configs."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Above(nn.Module):
    """1 where the first channel is above a threshold: what a perfect segmentation network of a phantom would say."""

    def __init__(self, threshold: float = 0.5, channels: int = 1) -> None:
        super().__init__()
        self.threshold = threshold
        self.channels = channels
        self.register_buffer("weight", torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        inside = (image[:, :1] * self.weight > self.threshold).float()
        if self.channels == 1:
            return inside
        return torch.cat([1 - inside, inside], dim=1) * 10 - 5


class NearClick(nn.Module):
    """A deepgrow network: probability of the object as logits; the channels are image, positive and negative clicks."""

    def __init__(self, reach: int = 9) -> None:
        super().__init__()
        self.reach = reach

    def forward(self, image: Tensor) -> Tensor:
        positive, negative = image[:, 1:2], image[:, 2:3]
        if image.dim() == 5:
            near = nn.functional.max_pool3d(positive, self.reach, 1, self.reach // 2)
        else:
            near = nn.functional.max_pool2d(positive, self.reach, 1, self.reach // 2)
        return torch.where((near > 0.3) & (negative < 0.3), 8.0, -8.0)


class Spots(nn.Module):
    """A DExtr3D network: where the second channel has its spots, and everything between them."""

    def forward(self, image: Tensor) -> Tensor:
        inside = (image[:, :1] > 0.5).float()
        seen = (image[:, 1:2] > 0.5).float()
        return torch.cat([1 - inside, inside * seen.amax().clamp(0, 1)], dim=1) * 10 - 5


class Scores(nn.Module):
    """A classifier of images by their mean: logits of dark, grey and bright."""

    def forward(self, image: Tensor) -> Tensor:
        mean = image.flatten(1).mean(dim=1, keepdim=True)
        return torch.cat([-mean, 0.5 - (mean - 0.5).abs() * 3, mean], dim=1)


def script(module: nn.Module, path: Path) -> Path:
    """Write a module as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return path


def aiaa_config(
    kind: str = "segmentation",
    labels: Sequence[str] = ("lesion",),
    pre: Sequence[tuple[str, Mapping[str, Any]]] = (("AddChanneld", {"keys": "image"}),),
    post: Sequence[tuple[str, Mapping[str, Any]]] = (),
    args: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A config as Clara Train 4 writes it; transforms are given as (name, arguments)."""
    return {
        "version": 1,
        "type": kind,
        "labels": list(labels),
        "description": f"A {kind} model of the tests",
        "pre_transforms": [
            {"name": "monai.transforms.LoadImaged", "args": {"keys": "image"}},
            *({"name": name, "args": dict(arguments)} for name, arguments in pre),
        ],
        "inference": {
            "input": "image",
            "output": "pred",
            "AIAA": {"name": "aiaa.inference.PyTorchInference", "args": dict(args or {})},
        },
        "post_transforms": [{"name": name, "args": dict(arguments)} for name, arguments in post],
        "writer": {"name": "aiaa.writers.Writer", "args": {"image": "pred", "json": "result"}},
        **more,
    }


def model_folder(folder: Path, config: Mapping[str, Any]) -> Path:
    """A model's folder with its config, into which the data still have to go."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config_aiaa.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


SMALL_UNET: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 0,
    "norm": "batch",
}

BUNDLE_METADATA: dict[str, Any] = {
    "version": "0.5.8",
    "description": "A small UNet of the tests",
    "task": "Segmentation of spheres",
    "name": "Sphere",
    "license": "Apache-2.0",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "num_channels": 1, "spatial_shape": [32, 32, 32]}},
        "outputs": {"pred": {"type": "image", "channel_def": {"0": "background", "1": "sphere"}}},
    },
}


def bundle_inference() -> dict[str, Any]:
    """``configs/inference.json`` as bundles of the model zoo write it, expressions and all."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": "/workspace/bundle",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": "$list(sorted(glob.glob(@bundle_root + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "pixdim": [2.0, 2.0, 2.0],
        "window": "$[16 * 2] * 3",
        "network_def": {"_target_": "UNet", **SMALL_UNET},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": "@pixdim", "mode": "bilinear"},
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": "image",
                    "a_min": 0,
                    "a_max": 1,
                    "b_min": 0.0,
                    "b_max": 1.0,
                },
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@window", "sw_batch_size": 2, "overlap": 0.25},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "run": ["$@evaluator.run()"],
    }


def small_unet() -> nn.Module:
    """The small UNet with the same random weights every time."""
    from monai.networks.nets.unet import UNet

    torch.manual_seed(0)
    return UNet(**SMALL_UNET).eval()


def bundle(folder: Path, inference: Mapping[str, Any] | None = None) -> Path:
    """A MONAI bundle folder with a state dict."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(BUNDLE_METADATA), encoding="utf-8")
    content = bundle_inference() if inference is None else dict(inference)
    (folder / "configs" / "inference.json").write_text(json.dumps(content), encoding="utf-8")
    torch.save(small_unet().state_dict(), folder / "models" / "model.pt")
    return folder


def zipped(folder: Path, path: Path) -> Path:
    """A folder as a zip, with the folder's name around everything."""
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(folder.rglob("*")):
            if item.is_file():
                archive.write(item, f"{folder.name}/{item.relative_to(folder)}")
    return path
