"""The model that both servers are given: voxels above 100, as TorchScript."""

from __future__ import annotations

from pathlib import Path

import torch


class Threshold(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image > 100.0).to(torch.float32)


def save_threshold(path: Path) -> None:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(Threshold()).save(str(path))


CONFIG = {
    "version": "1",
    "type": "segmentation",
    "labels": ["bright"],
    "description": "Voxels above 100",
    "pre_transforms": [{"name": "monai.transforms.EnsureChannelFirstd", "args": {"keys": "image"}}],
    "inference": {"input": "image", "output": "model", "AIAA": {"name": "aiaa.inference.PyTorchInference"}},
    "post_transforms": [{"name": "monai.transforms.AsDiscreted", "args": {"keys": "model", "threshold": 0.5}}],
}
"""For our server, as AIAA has it."""
