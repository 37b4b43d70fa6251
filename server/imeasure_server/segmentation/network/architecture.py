"""The network's shape; training and inference build it here."""

from __future__ import annotations

from torch import Tensor, nn

from imeasure_server.models.residual_unet import ResidualUnet
from imeasure_server.segmentation.network.encoding import CHANNELS

FEATURES = (32, 64, 128, 256)
"""Of each level. The first works at half the cube's resolution: that is what makes the network fast on a CPU. The last
sees the whole cube."""

LAST_FEATURES = 8
"""At the cube's own resolution, before the answer."""

GROUPS = 4

SIDE_MULTIPLE = 2 ** (len(FEATURES) - 1)
"""Sides of the cube are multiples of it. On a CPU none may be below 32: oneDNN's bf16 gradient of the last level's
weights is garbage now and then where that level has 2 cells a side (torch 2.13)."""


def build_network() -> nn.Module:
    """An untrained residual U-Net (Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", 2018).

    Features are normalised in groups (Wu and He, "Group Normalization", ECCV 2018). Instance normalisation would take
    away what says how much of the cube is object: the mean of each feature.

    Input (n, CHANNELS, x, y, z), sides multiples of ``SIDE_MULTIPLE``; output (n, 2, x, y, z): log odds of being the
    object, and a map whose mean says how good the answer is (``quality_logits``).
    """
    body = ResidualUnet(3, CHANNELS, LAST_FEATURES, FEATURES, GROUPS)
    return nn.Sequential(body, nn.PReLU(), nn.Conv3d(LAST_FEATURES, 2, 1))


def quality_logits(output: Tensor) -> Tensor:
    """(n,) logits of the Dice that each answer is expected to have with the whole object, also beyond the cube."""
    return output[:, 1].float().mean((1, 2, 3))
