"""Whether a picture is a lateral thoracic radiograph of a dog, before anything is measured in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from imeasure_server.imaging.pictures import Picture
from imeasure_server.models.weights_file import read_weights
from imeasure_server.vhs.letterbox import letterboxed, standardised
from imeasure_server.vhs.models_present import CLASSIFIER_WEIGHTS

CLASSIFIER_INPUT = 128
"""Pixels, square; pictures are letterboxed to it."""

ACCEPTED_FROM = 0.5
"""Probability from which a picture is measured; the model card says why this one."""

FEWEST_PIXELS = 32
"""A shorter side below this shows nothing that can be measured."""


def build_classifier() -> nn.Module:
    """(n, 1, CLASSIFIER_INPUT, CLASSIFIER_INPUT) to logits (n, 1) of a lateral thorax; 0.32 million parameters."""
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.GroupNorm(4, 16), nn.SiLU()]
    before = 16
    for channels in (32, 64, 96, 128):
        layers += [nn.Conv2d(before, channels, 3, stride=2, padding=1), nn.GroupNorm(8, channels), nn.SiLU()]
        if channels < 128:
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(8, channels), nn.SiLU()]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 1))


def classifier_input(picture: Picture) -> Tensor:
    """(1, CLASSIFIER_INPUT, CLASSIFIER_INPUT) float32 of a grey picture."""
    canvas = letterboxed(picture, CLASSIFIER_INPUT, CLASSIFIER_INPUT)
    return torch.from_numpy(standardised(canvas))[None]


def in_all_orientations(batch: Tensor) -> Tensor:
    """(n, c, side, side) to (8, n, c, side, side): the quarter turns, plain and mirrored."""
    turned = [torch.rot90(batch, quarter, (-2, -1)) for quarter in range(4)]
    return torch.stack(turned + [turn.flip(-1) for turn in turned])


class RadiographClassifier:
    """The network on one device. Its answer does not depend on how the picture is turned or mirrored."""

    def __init__(self, network: nn.Module, device: str) -> None:
        self._network = network.to(device).eval()
        self._device = device

    @classmethod
    def load(cls, folder: Path, device: str) -> RadiographClassifier:
        """Raises:
        WeightsError: the weights are missing or damaged.
        """
        return cls(read_weights(folder, CLASSIFIER_WEIGHTS, build_classifier()), device)

    def probability(self, picture: Picture) -> float:
        """That this is a lateral thoracic radiograph of a dog, 0 to 1.

        Args:
            picture: (height, width) grey or (height, width, 3) RGB; colour is not looked at.
        """
        grey = picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        if min(grey.shape) < FEWEST_PIXELS or int(grey.max()) == int(grey.min()):
            return 0.0
        views = in_all_orientations(classifier_input(grey)[None].to(self._device))[:, 0]
        with torch.inference_mode():
            return float(torch.sigmoid(self._network(views).mean()))

    @staticmethod
    def accepts(probability: float) -> bool:
        """Whether a picture with this probability is measured."""
        return probability >= ACCEPTED_FROM
