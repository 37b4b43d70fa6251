"""Training samples from radiographs that people marked: a random frame, another tone curve, sometimes a photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset
from vhs_screen.degradation import degrade

from imeasure_server.vhs.letterbox import standardised
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH, VERTEBRAE_NAMES
from vhs.attenuation import FloatArray
from vhs.operator_data import MarkedRadiograph
from vhs.samples import FOLDS, PHOTO_SHARE, random_frame

LARGEST_SIDE = 1024


class MarkedSamples(IterableDataset[dict[str, Any]]):
    """Endless samples; see `vhs.samples.ThoraxSamples` for the arguments. Dogs must face left, as most marked sets do;
    those with the spine's cranial end on the right are mirrored.
    """

    def __init__(self, marked: Sequence[MarkedRadiograph], seed: int, left_out: int | None = None) -> None:
        self._marked = [item for index, item in enumerate(marked) if left_out is None or index % FOLDS != left_out]
        self._seed = seed
        if not self._marked:
            raise ValueError("Too few marked radiographs: every fold leaves a fifth out.")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self._seed, info.id if info else 0])
        load = lru_cache(maxsize=500)(lambda index: _upright(self._marked[index]))
        while True:
            picture, points = load(int(rng.integers(len(self._marked))))
            image, moved = marked_sample(picture, points, rng)
            yield {"image": torch.from_numpy(standardised(image))[None], "points": torch.from_numpy(moved).float()}


def marked_sample(
    picture: NDArray[np.uint8], landmarks: FloatArray, rng: np.random.Generator
) -> tuple[NDArray[np.float32], FloatArray]:
    """An input picture (INPUT_HEIGHT, INPUT_WIDTH), 0 to 255, and the network's points (12, 2) on it, NaN unknown."""
    matrix, (left, top, right, bottom) = random_frame(picture.shape, landmarks, rng)
    warped = cv2.warpAffine(picture, matrix, (INPUT_WIDTH, INPUT_HEIGHT), flags=cv2.INTER_AREA).astype(np.float32)
    shown = warped[top:bottom, left:right] / 255
    toned = shown ** np.float32(rng.uniform(0.6, 1.6)) * np.float32(rng.uniform(0.7, 1.0)) + np.float32(
        rng.uniform(0, 0.1)
    )
    noisy = toned + rng.standard_normal(toned.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.03))
    seen = np.clip(noisy * 255, 0, 255).astype(np.uint8)
    if rng.random() < PHOTO_SHARE:
        seen = degrade(np.ascontiguousarray(seen), rng)
    field = np.zeros((INPUT_HEIGHT, INPUT_WIDTH), np.float32)
    field[top:bottom, left:right] = seen
    known = np.vstack([landmarks, np.full((len(VERTEBRAE_NAMES), 2), np.nan)])
    return field, (known - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def _upright(marked: MarkedRadiograph) -> tuple[NDArray[np.uint8], FloatArray]:
    """The picture, no larger than needed, head left and spine on top."""
    picture, points = marked.picture(), marked.landmarks.copy()
    shrink = min(1.0, LARGEST_SIDE / max(picture.shape))
    size = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
    points = points * (np.array(size) / np.array(picture.shape[::-1]))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if points[6, 0] < points[5, 0]:
        picture, points[:, 0] = np.ascontiguousarray(picture[:, ::-1]), size[0] - points[:, 0]
    if np.nanmean(points[:4, 1]) < points[5:, 1].mean():
        picture, points[:, 1] = np.ascontiguousarray(picture[::-1]), size[1] - points[:, 1]
    return picture, points
