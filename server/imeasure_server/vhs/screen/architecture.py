"""The small network that sees where a screen is; training and inference build it here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

SIDE = 128
"""Of the square input, in pixels; the photograph lies in its middle, its longer side as long as the square's."""

STRIDE = 4
"""Input pixels per cell of the maps."""

FEATURES = (16, 32, 64, 96, 128)
"""Of the levels; each sees at half the resolution of the one before, the first at half the input's."""

GROUPS = 8


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of n pictures.

    Attributes:
        corners: (n, 4, 2), x and y of TL, TR, BR, BL in pixels of the square input, its upper left corner at (0, 0).
        heat: (n, 4, SIDE / STRIDE, SIDE / STRIDE), log odds of a corner lying in a cell, up to a constant.
        mask: (n, SIDE / STRIDE, SIDE / STRIDE), log odds that a cell shows the lit area.
        is_screen: (n,) log odds that the picture is a photograph of a screen.
        is_whole: (n,) log odds that all its corners are in the picture.
    """

    corners: Tensor
    heat: Tensor
    mask: Tensor
    is_screen: Tensor
    is_whole: Tensor


class ScreenNetwork(nn.Module):
    """A U-Net with sums for skips and features normalised in groups; 1.0 M parameters.

    Corners are the means of their softmaxed maps (Nibali et al., "Numerical Coordinate Regression with Convolutional
    Neural Networks", 2018).
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = _convolution(3, FEATURES[0], stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(before, after, stride=2), _Residual(after))
            for before, after in pairwise(FEATURES)
        )
        self.up = nn.ModuleList(
            nn.ModuleList([nn.Conv2d(after, before, 1), _Residual(before)])
            for before, after in zip(FEATURES[-2:0:-1], FEATURES[:1:-1], strict=True)
        )
        self.maps = nn.Conv2d(FEATURES[1], 5, 1)
        self.judgement = nn.Sequential(nn.Linear(2 * FEATURES[-1], 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, pictures: Tensor) -> Answer:
        """Pictures (n, 3, SIDE, SIDE), RGB, 0 to 1."""
        levels = [self.first(pictures * 4.0 - 2.0)]
        for down in self.down:
            levels.append(down(levels[-1]))
        features = levels.pop()
        summary = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        for narrow, residual in cast("Iterable[tuple[nn.Module, nn.Module]]", self.up):
            features = narrow(functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False))
            features = residual(features + levels.pop())
        maps = self.maps(features).float()
        judgement = self.judgement(summary).float()
        return Answer(expected_places(maps[:, :4]), maps[:, :4], maps[:, 4], judgement[:, 0], judgement[:, 1])


def expected_places(heat: Tensor) -> Tensor:
    """The mean place (n, c, 2), x and y in input pixels, of maps (n, c, rows, columns) of log odds."""
    likely = heat.flatten(2).softmax(-1).view(heat.shape)
    x = (torch.arange(heat.shape[3], device=heat.device) + 0.5) * STRIDE
    y = (torch.arange(heat.shape[2], device=heat.device) + 0.5) * STRIDE
    return torch.stack([(likely.sum(2) * x).sum(-1), (likely.sum(3) * y).sum(-1)], -1)


class _Residual(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(features, features), nn.Conv2d(features, features, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.body(features))


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(GROUPS, after), nn.ReLU())
