"""Endless samples for training: photographs of screens and pictures of none, as the network gets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from imeasure_server.vhs.screen.architecture import SIDE, STRIDE
from imeasure_server.vhs.screen.letterbox import letterboxed
from vhs_screen.negatives import draw_negative
from vhs_screen.radiographs import Source, varied
from vhs_screen.simulator import Photographs, photograph

Picture: TypeAlias = NDArray[np.uint8]

CUT_SHARE, NEGATIVE_SHARE = 0.08, 0.4
FIRST, REMEMBERED, NEW_SHARE = 300, 2500, 0.15
"""Samples before any is shown again, samples that are kept, and the share of those shown that are new."""

TRAINING_PHOTOGRAPHS = ("brick.png", "camera.png", "coffee.png", "grass.png", "text.png", "rocket.jpg")
"""Of ``negatives-natural``; the others are for the evaluation."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and what is true of it.

    Attributes:
        picture: (3, SIDE, SIDE) bytes, RGB.
        corners: (4, 2) float32, in pixels of the square; zeros without a whole screen.
        mask: (SIDE / STRIDE, SIDE / STRIDE) float32, the share of each cell that is lit area.
        is_screen, is_whole: 0 or 1, as float32.
    """

    picture: Tensor
    corners: Tensor
    mask: Tensor
    is_screen: Tensor
    is_whole: Tensor


class Samples(IterableDataset[Sample]):
    """Samples drawn from a seed; every worker draws its own, and shows each a few times, turned or in other tones.

    Args:
        source: gives flat radiographs.
        photographs: RGB pictures of other things.
        seed: of all that is random.
    """

    def __init__(self, source: Source, photographs: Photographs, seed: int) -> None:
        super().__init__()
        self._source, self._photographs, self._seed = source, photographs, seed

    def __iter__(self) -> Iterator[Sample]:
        cv2.setNumThreads(1)
        info = get_worker_info()
        rng = np.random.default_rng([self._seed, info.id if info else 0])
        shown: list[Sample] = []
        while True:
            if len(shown) < FIRST or rng.random() < NEW_SHARE:
                new = self.draw(rng)
                if len(shown) < REMEMBERED:
                    shown.append(new)
                else:
                    shown[int(rng.integers(REMEMBERED))] = new
                yield new
            else:
                yield _again(shown[int(rng.integers(len(shown)))], rng)

    def draw(self, rng: np.random.Generator) -> Sample:
        side = int(np.exp(rng.uniform(np.log(SIDE), np.log(2.2 * SIDE))))
        kind = rng.random()
        if kind < NEGATIVE_SHARE:
            return _sample(draw_negative(self._source, rng, side, self._photographs), None, False)
        other = int(side / float(rng.choice([4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0])))
        size = (side, other) if rng.random() < 0.65 else (other, side)
        cut = kind < NEGATIVE_SHARE + CUT_SHARE
        photo = photograph(varied(self._source(rng), rng), rng, size, cut, self._photographs)
        return _sample(photo.picture, photo.corners, photo.is_whole)


def read_photographs(data: Path | None) -> list[Picture]:
    """The RGB pictures of ``negatives-natural`` that training may see, made small; none without a folder."""
    if data is None:
        return []
    pictures = []
    for name in TRAINING_PHOTOGRAPHS:
        picture = cv2.imread(str(data / "negatives-natural" / name), cv2.IMREAD_COLOR)
        if picture is not None:
            factor = min(1.0, 800 / max(picture.shape))
            small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            pictures.append(np.ascontiguousarray(small[..., ::-1]).astype(np.uint8))
    return pictures


def _sample(picture: Picture, corners: NDArray[np.float64] | None, is_whole: bool) -> Sample:
    box = letterboxed(picture)
    cells = SIDE // STRIDE
    mask = np.zeros((SIDE, SIDE), np.float32)
    places = np.zeros((4, 2))
    if corners is not None:
        places = box.to_square(corners)
        cv2.fillConvexPoly(mask, np.round((places - 0.5) * 16).astype(np.int32), 1.0, cv2.LINE_AA, 4)
    coarse = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Sample(
        torch.from_numpy(np.ascontiguousarray(box.square.transpose(2, 0, 1))),
        torch.tensor(places if is_whole else np.zeros((4, 2)), dtype=torch.float32),
        torch.from_numpy(coarse),
        torch.tensor(float(corners is not None)),
        torch.tensor(float(is_whole)),
    )


def _again(sample: Sample, rng: np.random.Generator) -> Sample:
    """The same sample in other tones, moved, turned and enlarged a little, mirrored half of the times."""
    tones = (np.arange(256) / 255.0) ** np.exp(rng.normal(0, 0.15)) * rng.uniform(0.85, 1.05)
    table = np.clip(tones[:, None] * (1 + rng.normal(0, 0.03, 3)) * 255, 0, 255).astype(np.uint8)[None]
    square = cv2.LUT(np.ascontiguousarray(sample.picture.numpy().transpose(1, 2, 0)), table)
    transform = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), float(rng.normal(0, 3)), float(rng.uniform(0.8, 1.2)))
    transform[:, 2] += rng.uniform(-0.08, 0.08, 2) * SIDE
    moved = sample.corners.numpy() @ transform[:, :2].T + transform[:, 2]
    if sample.is_whole and not ((moved > 1) & (moved < SIDE - 1)).all():
        transform, moved = np.eye(2, 3), sample.corners.numpy()
    centred = transform.copy()  # OpenCV counts from the middle of the first pixel
    centred[:, 2] += 0.5 * transform[:, :2].sum(1) - 0.5
    square = cv2.warpAffine(square, centred, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    coarse = transform.copy()
    coarse[:, 2] = (transform[:, 2] / STRIDE) + 0.5 * transform[:, :2].sum(1) - 0.5
    cells = sample.mask.numpy()
    mask = torch.from_numpy(cv2.warpAffine(cells, coarse, cells.shape, flags=cv2.INTER_LINEAR))
    picture = torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))
    corners = torch.from_numpy(moved.astype(np.float32))
    if rng.random() < 0.5:
        picture, mask = picture.flip(2), mask.flip(1)
        corners = corners[[1, 0, 3, 2]]
        corners = torch.stack([SIDE - corners[:, 0], corners[:, 1]], 1)
    return Sample(picture, corners, mask, sample.is_screen, sample.is_whole)


def joined(samples: list[Sample]) -> Sample:
    """A batch: every attribute has one more dimension, the first."""
    names = ("picture", "corners", "mask", "is_screen", "is_whole")
    return Sample(*(torch.stack([getattr(sample, name) for sample in samples]) for name in names))
