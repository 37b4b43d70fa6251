"""Five landmark networks on one radiograph: where they see the landmarks, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imeasure_server.models.weights_file import read_weights
from imeasure_server.vhs.decoding import decode
from imeasure_server.vhs.frames import close_frames, framed, moved_heat, out_of_frame, whole_frame
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, FloatArray
from imeasure_server.vhs.letterbox import standardised
from imeasure_server.vhs.models_present import ORIENTATION_WEIGHTS, fold_weights, intact_folds
from imeasure_server.vhs.network import STRIDE, build_landmark_network, heat_maps
from imeasure_server.vhs.orientation import build_orientation_network, orientation_scores, turned, turned_back

CONCENTRATED_WITHIN = 3.5 * STRIDE
"""Input pixels about a landmark within which a heat map's mass counts as seen there."""

POSES_TRIED = 3


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """What the folds see.

    Attributes:
        points: (7, 2) in continuous pixels of the picture, where the folds together see them.
        by_fold: (folds, 7, 2).
        vertebrae: (5, 2) where T5 to T9 begin.
        seen: (7,) share of a landmark's joint heat map that lies close to it, 0 to 1.
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
        """Find the landmarks: on the whole picture, then closer. What the folds see is joined before it is decoded,
        so that one that errs is outvoted; each fold's own points say how far they agree.

        Args:
            picture: (height, width) grey, bone bright, turned any way.
        """
        orientation = self._pose(picture)
        upright = turned(picture, orientation)
        height, width = upright.shape
        guess = out_of_frame(decode(self._joint_heat(upright)), whole_frame(width, height))
        frames = close_frames(guess[: len(LANDMARK_NAMES)], width, height, self.size)
        heats = self._heats(upright, frames)
        joint = np.mean([moved_heat(h, frame, frames[0]) for h, frame in zip(heats, frames, strict=True)], axis=0)
        points = decode(joint)
        rows, columns = picture.shape
        back = turned_back(out_of_frame(points, frames[0]), orientation, columns, rows)
        by_fold = np.array([out_of_frame(decode(h), frame) for h, frame in zip(heats, frames, strict=True)])
        marks = len(LANDMARK_NAMES)
        return EnsemblePrediction(
            points=back[:marks],
            by_fold=turned_back(by_fold, orientation, columns, rows)[:, :marks],
            vertebrae=back[marks:],
            seen=_concentration(joint, points)[:marks],
            orientation=orientation,
        )

    def _pose(self, picture: NDArray[np.uint8]) -> int:
        """The orientation: of the likeliest ones that in which the landmarks are seen best."""
        scores = orientation_scores(self._orientation, picture)
        likely = [int(index) for index in np.argsort(-scores)[:POSES_TRIED]]
        for index in likely:
            upright = turned(picture, index)
            joint = self._joint_heat(upright)
            scores[index] += np.log(np.maximum(_concentration(joint, decode(joint)), 1e-3)).sum()
        return max(likely, key=lambda index: float(scores[index]))

    def _joint_heat(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(12, rows, columns): what the folds together see in the whole picture."""
        whole = whole_frame(picture.shape[1], picture.shape[0])
        joint: NDArray[np.float32] = np.mean(self._heats(picture, [whole] * self.size), axis=0)
        return joint

    def _heats(self, picture: NDArray[np.uint8], frames: Sequence[FloatArray]) -> list[NDArray[np.float32]]:
        """Heat maps (12, rows, columns) of the folds, one frame for each."""
        heats = []
        for network, frame in zip(self._folds, frames, strict=True):
            image = torch.from_numpy(standardised(framed(picture, frame)))[None, None].to(self._device)
            with torch.inference_mode():
                heats.append(heat_maps(network(image))[0].cpu().numpy())
        return heats


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
