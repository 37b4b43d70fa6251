"""Five landmark networks on one radiograph: where they see the landmarks, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imeasure_server.models.weights_file import read_weights
from imeasure_server.vhs.decoding import decode
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, FloatArray
from imeasure_server.vhs.letterbox import standardised
from imeasure_server.vhs.models_present import ORIENTATION_WEIGHTS, fold_weights, intact_folds
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH, STRIDE, build_landmark_network, heat_maps
from imeasure_server.vhs.orientation import build_orientation_network, orientation_scores, turned, turned_back

CLOSE_ROOM = 2.1
"""Width of the second look, as a multiple of the extent of the landmarks that the first look found."""

CONCENTRATED_WITHIN = 3.5 * STRIDE
"""Input pixels about a landmark within which a heat map's mass counts as seen there."""

POSES_TRIED = 4

VIEWS = (
    (1.0, 0.0, 0.0, 0.0),
    (0.94, 2.0, 0.02, 0.0),
    (1.06, -2.0, -0.02, 0.01),
    (0.97, -4.0, 0.0, -0.02),
    (1.03, 4.0, 0.0, 0.02),
)
"""Each fold's second look: zoom, turn in degrees, shift as shares of the input; so that the folds err apart."""


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """What the folds see.

    Attributes:
        points: (7, 2) in continuous pixels of the picture, the median of the folds: one that errs does not count.
        by_fold: (folds, 7, 2).
        vertebrae: (5, 2) where T5 to T9 begin, the median of the folds.
        seen: (7,) mean over folds of the share of a landmark's heat map that lies close to it, 0 to 1.
        orientation: see `orientation`.
    """

    points: FloatArray
    by_fold: FloatArray
    vertebrae: FloatArray
    seen: FloatArray
    orientation: int

    def deviations(self, width: float, height: float) -> FloatArray:
        """(7,) standard deviation of the folds in normalised coordinates, root mean square of x and y."""
        scaled = self.by_fold / np.array([width, height])
        variance: FloatArray = scaled.var(axis=0, ddof=1).mean(axis=1)
        return np.sqrt(variance)


class LandmarkEnsemble:
    """The folds and the network that tells how a picture is turned, on one device."""

    def __init__(self, folds: Sequence[nn.Module], orientation: nn.Module, device: str) -> None:
        self._folds = [fold.to(device) for fold in folds]
        self._orientation = orientation.to(device)
        self._device = device

    @classmethod
    def load(cls, folder: Path, device: str) -> LandmarkEnsemble:
        """Raises:
        WeightsError: a file is missing or damaged.
        """
        folds = [read_weights(folder, fold_weights(fold), build_landmark_network()) for fold in intact_folds(folder)]
        return cls(folds, read_weights(folder, ORIENTATION_WEIGHTS, build_orientation_network()), device)

    @property
    def size(self) -> int:
        """How many folds there are."""
        return len(self._folds)

    def predict(self, picture: NDArray[np.uint8]) -> EnsemblePrediction:
        """Find the landmarks.

        Args:
            picture: (height, width) grey, bone bright, turned any way.
        """
        orientation = self._pose(picture)
        upright = turned(picture, orientation)
        height, width = upright.shape
        first, _ = self._look(upright, [_whole_frame(width, height)] * self.size)
        guess = np.median(first, axis=0)[: len(LANDMARK_NAMES)]
        points, seen = self._look(upright, _close_frames(guess, width, height, self.size))
        rows, columns = picture.shape
        back = turned_back(points, orientation, columns, rows)
        marks = len(LANDMARK_NAMES)
        middle, by_fold = np.median(back, axis=0), back[:, :marks]
        return EnsemblePrediction(middle[:marks], by_fold, middle[marks:], seen.mean(axis=0)[:marks], orientation)

    def _pose(self, picture: NDArray[np.uint8]) -> int:
        """The orientation: of the likeliest ones that in which the landmarks are seen best."""
        scores = orientation_scores(self._orientation, picture)
        likely = [int(index) for index in np.argsort(-scores)[:POSES_TRIED]]
        for index in likely:
            upright = turned(picture, index)
            height, width = upright.shape
            _, seen = self._look(upright, [_whole_frame(width, height)])
            scores[index] += np.log(np.maximum(seen[0], 1e-3)).sum()
        return max(likely, key=lambda index: float(scores[index]))

    def _look(self, picture: NDArray[np.uint8], frames: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """One frame for each of the first folds: points (n, 12, 2) in the picture's pixels, shares seen (n, 12)."""
        points, seen = [], []
        for network, frame in zip(self._folds, frames, strict=False):
            image = torch.from_numpy(standardised(_framed(picture, frame)))[None, None].to(self._device)
            with torch.inference_mode():
                shares = heat_maps(network(image))[0].cpu().numpy()
            inside = decode(shares)
            seen.append(_concentration(shares, inside))
            points.append((inside - frame[:, 2]) @ np.linalg.inv(frame[:, :2]).T)
        return np.array(points), np.array(seen)


def _whole_frame(width: float, height: float) -> FloatArray:
    return _frame(np.array([width, height]) / 2, _fitting_zoom(width, height), 0.0)


def _fitting_zoom(width: float, height: float) -> float:
    return min(INPUT_WIDTH / width, INPUT_HEIGHT / height)


def _frame(centre: FloatArray, zoom: float, turn: float, shift: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
    """(2, 3) from continuous picture pixels to those of the input."""
    cosine, sine = zoom * math.cos(math.radians(turn)), zoom * math.sin(math.radians(turn))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([INPUT_WIDTH * (0.5 + shift[0]), INPUT_HEIGHT * (0.5 + shift[1])])
    return np.column_stack([linear, middle - linear @ centre])


def _close_frames(guess: FloatArray, width: float, height: float, count: int) -> list[FloatArray]:
    """Frames about the landmarks, never wider than the whole picture, each in its fold's own view."""
    low, high = guess.min(axis=0), guess.max(axis=0)
    extent = np.maximum(high - low, 1.0) * CLOSE_ROOM
    whole = _fitting_zoom(width, height)
    zoom = max(whole, min(INPUT_WIDTH / extent[0], INPUT_HEIGHT / extent[1], 4 * whole))
    closeness = 1 - whole / zoom  # at 0 the whole picture is seen, and its centre is the frame's
    centre = closeness * (low + high) / 2 + (1 - closeness) * np.array([width, height]) / 2
    return [
        _frame(centre, zoom * factor, turn, (right, down))
        for factor, turn, right, down in (VIEWS[index % len(VIEWS)] for index in range(count))
    ]


def _framed(picture: NDArray[np.uint8], frame: FloatArray) -> NDArray[np.float32]:
    """The part of a picture that a frame shows, black beyond it; large pictures are averaged, not sampled."""
    zoom = math.sqrt(abs(float(np.linalg.det(frame[:, :2]))))
    reduction = 2 ** max(0, math.floor(math.log2(0.75 / zoom)) if zoom < 0.75 else 0)
    if reduction > 1:
        height, width = picture.shape
        size = max(1, width // reduction), max(1, height // reduction)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        frame = np.column_stack([frame[:, :2] * [width / size[0], height / size[1]], frame[:, 2]])
    centred = frame.copy()  # OpenCV counts from the centre of the first pixel
    centred[:, 2] += frame[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(picture, centred, (INPUT_WIDTH, INPUT_HEIGHT), flags=cv2.INTER_LINEAR).astype(np.float32)


def _concentration(shares: NDArray[np.float32], points: FloatArray) -> FloatArray:
    """(k,) share of each heat map within `CONCENTRATED_WITHIN` of its point; ``points`` in input pixels."""
    rows, columns = shares.shape[1:]
    y = (np.arange(rows)[:, None] + 0.5) * STRIDE
    x = (np.arange(columns)[None, :] + 0.5) * STRIDE
    result = np.empty(len(points))
    for index, (px, py) in enumerate(points):
        near = (x - px) ** 2 + (y - py) ** 2 <= CONCENTRATED_WITHIN**2
        result[index] = shares[index][near].sum()
    return result
