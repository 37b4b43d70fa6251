"""A picture as it could have been sent: turned, cropped, brighter, noisier, sharper, smaller."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imeasure_server.vhs.classifier import classifier_input

Picture = NDArray[np.uint8]


def augmented(picture: Picture, rng: np.random.Generator, closest: float = 0.85) -> Tensor:
    """An input of the classifier (1, side, side).

    Args:
        picture: grey.
        rng: all that is random is drawn from it.
        closest: share of a side that a crop keeps at least.
    """
    shown = _toned(_framed(picture, rng, closest), rng)
    turned = np.rot90(shown, int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    return classifier_input(np.ascontiguousarray(turned))


def _framed(picture: Picture, rng: np.random.Generator, closest: float) -> Picture:
    """Cropped, turned by some degrees, stretched, sometimes with a border."""
    height, width = picture.shape
    kept = rng.uniform(closest, 1.0, 2)
    angle = math.radians(float(rng.normal(0, 5)) if rng.random() < 0.6 else 0.0)
    size = (max(16, round(width * kept[0])), max(16, round(height * kept[1])))
    stretch = np.exp(rng.normal(0, 0.05, 2))
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * stretch
    centre = np.array([width, height]) * (0.5 + (1 - kept) * rng.uniform(-0.5, 0.5, 2))
    matrix = np.column_stack([linear, np.array(size) / 2 - linear @ centre])
    ground = float(rng.choice([0, 0, 0, 255, int(picture.min())]))
    framed = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(ground,)).astype(np.uint8)
    if rng.random() < 0.12:
        border = [int(rng.uniform(0, 0.12) * max(size)) for _ in range(4)]
        framed = cv2.copyMakeBorder(
            framed, *border, cv2.BORDER_CONSTANT, value=(float(rng.choice([0, 0, 30, 255])),)
        ).astype(np.uint8)
    return framed


def _toned(picture: Picture, rng: np.random.Generator) -> Picture:
    """Other grey levels, blur, noise, local contrast; rarely inverted."""
    if rng.random() < 0.3:
        tiles = int(rng.integers(2, 9))
        picture = cv2.createCLAHE(float(rng.uniform(1, 5)), (tiles, tiles)).apply(picture).astype(np.uint8)
    values = picture.astype(np.float32) / 255
    if rng.random() < 0.7:
        values = values ** np.float32(math.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.5:
        low, high = rng.uniform(-0.15, 0.15), rng.uniform(0.7, 1.3)
        values = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 2.2)).astype(np.float32)
    elif rng.random() < 0.3:
        fine = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.8, 4))
        values = values + np.float32(rng.uniform(0.3, 2.0)) * (values - fine)
    if rng.random() < 0.3:
        values = values + rng.standard_normal(values.shape).astype(np.float32) * np.float32(rng.uniform(0.005, 0.12))
    if rng.random() < 0.05:
        values = 1 - values
    return np.clip(values * 255, 0, 255).astype(np.uint8)


def batch_of(pictures: list[Picture], rng: np.random.Generator, closest: float = 0.85) -> Tensor:
    """(n, 1, side, side)."""
    return torch.stack([augmented(picture, rng, closest) for picture in pictures])
