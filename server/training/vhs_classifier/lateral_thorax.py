"""Positives from rendered dogs, and negatives from the same dogs: what is left of them without the heart."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from vhs.anatomy import Thorax
from vhs.exposure import expose
from vhs_screen.degradation import degrade

from imeasure_server.vhs.landmarks import VERTEBRA_A, VERTEBRA_B

Picture = NDArray[np.uint8]
SIDE = 160
HEART = slice(0, 4)


def draw_thorax(thorax: Thorax, rng: np.random.Generator) -> Picture:
    """A lateral thorax: all landmarks within the frame, head left and spine on top, give or take 30 degrees."""
    for _ in range(200):
        matrix, size = _frame(thorax, rng, rng.uniform(0.95, 1.9))
        points = thorax.landmarks @ matrix[:, :2].T + matrix[:, 2]
        if (points > 2).all() and (points < np.array(size) - 2).all():
            return _exposed(thorax, matrix, size, rng)
    matrix, size = _whole(thorax)
    return _exposed(thorax, matrix, size, rng)


def draw_without_heart(thorax: Thorax, rng: np.random.Generator) -> Picture:
    """A part of the same dog that shows no heart: its abdomen, neck or back."""
    height, width = thorax.attenuation.shape
    low, high = thorax.landmarks[HEART].min(axis=0), thorax.landmarks[HEART].max(axis=0)
    spine = thorax.landmarks[[VERTEBRA_A, VERTEBRA_B]].mean(axis=0)[1]
    sides = [
        (high[0] - 0.1 * (high[0] - low[0]), 0.0, width, height),
        (0.0, 0.0, low[0] + 0.1 * (high[0] - low[0]), height),
        (0.0, 0.0, width, min(spine + 1.2 * thorax.unit, low[1])),
    ]
    fitting = [box for box in sides if min(box[2] - box[0], box[3] - box[1]) > 90]
    if not fitting:
        return np.zeros((SIDE, SIDE), np.uint8)
    left, top, right, bottom = (round(value) for value in fitting[int(rng.integers(len(fitting)))])
    part = np.ascontiguousarray(thorax.attenuation[top:bottom, left:right])
    scale = SIDE / max(part.shape)
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    shrunk = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return expose(shrunk.astype(np.float32), rng, thorax.unit * scale)


def _frame(thorax: Thorax, rng: np.random.Generator, aspect: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    size = (SIDE, round(SIDE / aspect)) if aspect > 1 else (round(SIDE * aspect), SIDE)
    height, width = thorax.attenuation.shape
    angle = math.radians(float(np.clip(rng.normal(0, 9), -30, 30)))
    zoom = rng.uniform(0.95, 1.9) * max(size[0] / width, size[1] / height)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = zoom * turn @ np.diag(np.exp(rng.normal(0, 0.05, 2)))
    centre = np.array([width, height]) * (0.5 + rng.uniform(-0.15, 0.15, 2))
    return np.column_stack([linear, np.array(size) / 2 - linear @ centre]), size


def _whole(thorax: Thorax) -> tuple[NDArray[np.float64], tuple[int, int]]:
    height, width = thorax.attenuation.shape
    scale = SIDE / max(height, width)
    return np.array([[scale, 0, 0], [0, scale, 0]]), (round(width * scale), round(height * scale))


def _exposed(thorax: Thorax, matrix: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator) -> Picture:
    zoom = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    blurred = cv2.GaussianBlur(thorax.attenuation, (0, 0), 0.4 / zoom) if zoom < 0.8 else thorax.attenuation
    warped = cv2.warpAffine(blurred, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = expose(warped.astype(np.float32), rng, thorax.unit * zoom)
    return degrade(picture, rng) if rng.random() < 0.2 else picture
