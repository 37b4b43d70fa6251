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
