"""How a radiograph is turned, and back: the networks look at dogs that face left with the spine on top.

An orientation is a number: ``index % 4`` quarter turns counter-clockwise, after a mirroring in x when ``index >= 4``,
bring the picture to that canonical pose.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.letterbox import letterboxed, standardised

ORIENTATIONS = 8
ORIENTATION_INPUT = 128
"""Pixels, square."""


def turned(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The grey picture (h, w) in the canonical pose."""
    mirrored = picture[:, ::-1] if orientation >= 4 else picture
    return np.ascontiguousarray(np.rot90(mirrored, orientation % 4))


def turned_back(points: FloatArray, orientation: int, width: float, height: float) -> FloatArray:
    """Points (..., 2) of the canonical picture in pixels of the picture as it was, of that width and height."""
    x, y = points[..., 0], points[..., 1]
    for quarter in range(orientation % 4, 0, -1):
        wide = width if quarter % 2 else height  # of the picture before this quarter turn
        x, y = wide - y, x
    if orientation >= 4:
        x = width - x
    return np.stack([x, y], axis=-1)


def build_orientation_network() -> nn.Module:
    """(n, 1, ORIENTATION_INPUT, ORIENTATION_INPUT) to logits (n, 8)."""
    layers: list[nn.Module] = []
    before = 1
    for channels in (24, 40, 64, 96, 128):
        layers += [nn.Conv2d(before, channels, 3, stride=2, padding=1), nn.GroupNorm(8, channels), nn.PReLU()]
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(8, channels), nn.PReLU()]
        before = channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, ORIENTATIONS))


def orientation_input(picture: NDArray[np.uint8]) -> Tensor:
    """(1, ORIENTATION_INPUT, ORIENTATION_INPUT) float32 of a grey picture."""
    canvas = letterboxed(picture, ORIENTATION_INPUT, ORIENTATION_INPUT)
    return torch.from_numpy(standardised(canvas))[None]


def orientation_scores(network: nn.Module, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(8,) logarithm of each orientation's probability, but for a constant. The picture is shown in all eight ways, and
    what the network says of each is averaged: a picture that is turned gets the answer that turns with it.
    """
    device = next(network.parameters()).device
    shown = torch.stack([orientation_input(turned(picture, first)) for first in range(ORIENTATIONS)])
    with torch.inference_mode():
        scores = torch.log_softmax(network(shown.to(device)), dim=1).cpu().numpy()
    total = np.zeros(ORIENTATIONS)
    for first, second in np.ndindex(ORIENTATIONS, ORIENTATIONS):
        total[_COMPOSED[first][second]] += scores[first, second] / ORIENTATIONS
    return total


def _composed(first: int, second: int) -> int:
    """The orientation that does what two do one after the other."""
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    goal = turned(turned(picture, first), second)
    return next(index for index in range(ORIENTATIONS) if np.array_equal(turned(picture, index), goal))


_COMPOSED = [[_composed(first, second) for second in range(ORIENTATIONS)] for first in range(ORIENTATIONS)]
