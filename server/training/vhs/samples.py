"""Training samples: a rendered thorax in a random frame, exposed and processed at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset
from vhs_screen.degradation import degrade

from imeasure_server.vhs.letterbox import standardised
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH
from vhs.anatomy import Thorax
from vhs.attenuation import FloatArray
from vhs.dataset import RenderedSet
from vhs.exposure import expose

FOLDS = 5
PHOTO_SHARE = 0.2
"""Of the samples that look like a rectified photograph of a screen."""


class ThoraxSamples(IterableDataset[dict[str, Any]]):
    """Endless samples from a rendered set.

    Args:
        rendered: where the maps are.
        seed: of the order and of everything random.
        left_out: the fold (index modulo `FOLDS`) that is never shown, or None.
    """

    def __init__(self, rendered: RenderedSet, seed: int, left_out: int | None = None) -> None:
        self._rendered, self._seed, self._left_out = rendered, seed, left_out

    def __iter__(self) -> Iterator[dict[str, Any]]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self._seed, info.id if info else 0])
        available = self._rendered.rendered
        count = 0
        while True:
            if count % 500 == 0:
                available = self._rendered.rendered
            count += 1
            index = int(rng.integers(available))
            if self._left_out is not None and index % FOLDS == self._left_out:
                continue
            picture, points = framed_sample(self._rendered[index], rng)
            yield {"image": torch.from_numpy(standardised(picture))[None], "points": torch.from_numpy(points).float()}


def framed_sample(thorax: Thorax, rng: np.random.Generator) -> tuple[NDArray[np.float32], FloatArray]:
    """An input picture (INPUT_HEIGHT, INPUT_WIDTH), 0 to 255, and the points of the network (12, 2) in input pixels."""
    matrix, visible = random_frame(thorax.attenuation.shape, thorax.landmarks, rng)
    size = (INPUT_WIDTH, INPUT_HEIGHT)
    warped = cv2.warpAffine(thorax.attenuation, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    unit = thorax.unit * math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    left, top, right, bottom = visible
    field = np.zeros((INPUT_HEIGHT, INPUT_WIDTH), np.uint8)
    exposed = expose(np.ascontiguousarray(warped[top:bottom, left:right]), rng, unit)
    if rng.random() < PHOTO_SHARE:
        exposed = degrade(exposed, rng)
    if rng.random() < 0.04:
        exposed = 255 - exposed
    field[top:bottom, left:right] = exposed
    known = np.vstack([thorax.landmarks, thorax.vertebrae])
    return field.astype(np.float32), (known - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def random_frame(
    shape: tuple[int, ...], landmarks: FloatArray, rng: np.random.Generator
) -> tuple[NDArray[np.float64], tuple[int, int, int, int]]:
    """An affine map into the input (pixel centres) and the columns and rows of it that the picture covers.

    Args:
        shape: (height, width) of the picture.
        landmarks: (7, 2) in its pixels; those that are known (not NaN) stay inside the frame.
    """
    height, width = shape[:2]
    while True:
        aspect = rng.uniform(0.95, 1.85)
        if aspect > INPUT_WIDTH / INPUT_HEIGHT:
            shown = INPUT_WIDTH, round(INPUT_WIDTH / aspect)
        else:
            shown = round(INPUT_HEIGHT * aspect), INPUT_HEIGHT
        angle = math.radians(float(np.clip(rng.normal(0, 8), -28, 28)))
        zoom = rng.uniform(1.0, 1.8) * max(shown[0] / width, shown[1] / height)
        stretch = np.diag(np.exp(rng.normal(0, 0.04, 2)))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        linear = zoom * turn @ stretch
        centre = np.array([width, height]) * (0.5 + rng.uniform(-0.12, 0.12, 2))
        middle = np.array([INPUT_WIDTH, INPUT_HEIGHT]) / 2
        matrix = np.column_stack([linear, middle - linear @ centre])
        points = (landmarks - 0.5) @ linear.T + matrix[:, 2] + 0.5
        outside = np.abs(points - middle) >= np.array(shown) * 0.485
        if not outside.any():
            break
    left, top = (INPUT_WIDTH - shown[0]) // 2, (INPUT_HEIGHT - shown[1]) // 2
    return matrix, (left, top, left + shown[0], top + shown[1])
