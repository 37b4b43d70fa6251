"""The landmark network: a picture in, one heat map for each point out.

Beside the contract's landmarks it sees where T5 to T9 begin: between A and B these count the vertebrae.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imeasure_server.models.residual_unet import ResidualUnet
from imeasure_server.vhs.landmarks import LANDMARK_NAMES

INPUT_HEIGHT, INPUT_WIDTH = 352, 448
"""Pixels; pictures are letterboxed to it."""
VERTEBRAE_NAMES = ("T5", "T6", "T7", "T8", "T9")
"""Middles of their cranial end plates: the points after those of `LANDMARK_NAMES`."""
POINTS = len(LANDMARK_NAMES) + len(VERTEBRAE_NAMES)
STRIDE = 4
"""Input pixels per cell of a heat map."""


def build_landmark_network() -> nn.Module:
    """(n, 1, INPUT_HEIGHT, INPUT_WIDTH) to logits (n, 12, INPUT_HEIGHT / STRIDE, INPUT_WIDTH / STRIDE).

    Group norm, since instance norm would take away how large a structure is in relation to the others.
    """
    stem = nn.Sequential(
        nn.Conv2d(1, 24, 5, stride=2, padding=2),
        nn.GroupNorm(6, 24),
        nn.PReLU(),
        nn.Conv2d(24, 40, 3, stride=2, padding=1),
        nn.GroupNorm(8, 40),
        nn.PReLU(),
    )
    body = ResidualUnet(2, 40, 32, (48, 80, 144, 208), 8)
    return nn.Sequential(stem, body, nn.Conv2d(32, POINTS, 1))


def heat_maps(logits: Tensor) -> Tensor:
    """Logits (n, k, rows, columns) as distributions over the cells."""
    return torch.softmax(logits.flatten(2).float(), dim=2).view(logits.shape)


def expected_points(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Soft-argmax (Nibali et al., arXiv:1801.07372): the mean of each heat map read as a distribution.

    Args:
        logits: (n, k, rows, columns).

    Returns:
        Points (n, k, 2), (x, y) in continuous input pixels, and the distributions (n, k, rows, columns).
    """
    rows, columns = logits.shape[2:]
    share = heat_maps(logits)
    x = (torch.arange(columns, device=logits.device, dtype=torch.float32) + 0.5) * STRIDE
    y = (torch.arange(rows, device=logits.device, dtype=torch.float32) + 0.5) * STRIDE
    return torch.stack([(share.sum(2) * x).sum(2), (share.sum(3) * y).sum(2)], dim=2), share
