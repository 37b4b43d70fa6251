"""From a picture to a result code: screen, classifier, landmarks, score, drawing, in this order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imeasure_server.imaging.pictures import Picture, read_picture, write_jpeg, write_png
from imeasure_server.vhs.classifier import RadiographClassifier
from imeasure_server.vhs.ensemble import EnsemblePrediction, LandmarkEnsemble
from imeasure_server.vhs.landmarks import LANDMARK_NAMES, VLAS, FloatArray, normalised
from imeasure_server.vhs.models_present import vhs_models
from imeasure_server.vhs.rendering import render
from imeasure_server.vhs.results import Confidence, ImageResult, ResultCode, confidence_of
from imeasure_server.vhs.score import Implausibility, Score, score_landmarks
from imeasure_server.vhs.screen.corners import ScreenFinder
from imeasure_server.vhs.screen.rectification import NotAScreen, Rectified, rectify

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext
    from imeasure_server.vhs.jobs import AnalyseImage

SEEN = 0.15
"""Share of a heat map that must lie about its landmark for the landmark to count as seen."""
VLAS_DEVIATION = 0.02
"""Standard deviation of the folds at the atrium, normalised, beyond which there is no VLAS."""

Stage = Callable[[str], AbstractContextManager[None]]

_CONFIDENCE_CODES: dict[Confidence, ResultCode] = {
    "optimal": ResultCode.OPTIMAL,
    "good": ResultCode.MODERATE,
    "review": ResultCode.LOW_CONFIDENCE,
}


@dataclass(frozen=True, eq=False)
class Measured:
    """Landmarks of a flat radiograph and what they say.

    Attributes:
        code: of the contract, without 6 and 7.
        points: (7, 2) in pixels, or None when they were not seen.
        score: of the points, or None.
        spread: see `ImageResult`, or None.
    """

    code: ResultCode
    points: FloatArray | None
    score: Score | None
    spread: float | None


def measure(prediction: EnsemblePrediction, width: int, height: int) -> Measured:
    """What the folds' landmarks say of a picture of that size."""
    heart_and_spine = np.array([index != VLAS for index in range(len(LANDMARK_NAMES))])
    if (prediction.seen[heart_and_spine] < SEEN).any():
        return Measured(ResultCode.NOTHING_MEASURED, None, None, None)
    deviations = prediction.deviations(width, height)
    spread = float(deviations.mean())
    score = score_landmarks(prediction.points, (width, height))
    if score.implausibility in (Implausibility.OUTSIDE, Implausibility.SHORT_SPINE):
        return Measured(ResultCode.NOTHING_MEASURED, None, None, None)
    if score.vhs is None:
        return Measured(ResultCode.ABNORMAL, prediction.points, score, spread)
    if prediction.seen[VLAS] < SEEN or deviations[VLAS] > VLAS_DEVIATION:
        score = replace(score, vlas=None)
    code = ResultCode.NO_VLAS if score.vlas is None else _CONFIDENCE_CODES[confidence_of(spread)]
    return Measured(code, prediction.points, score, spread)


class Analyser:
    """The models of one worker."""

    def __init__(self, weights: Path, device: str) -> None:
        """Raises:
        WeightsError: a model that measuring needs is missing or damaged.
        """
        self._classifier = RadiographClassifier.load(weights, device)
        self._ensemble = LandmarkEnsemble.load(weights, device)
        self._screens = ScreenFinder(weights) if vhs_models(weights).pop_pipeline else None

    def analyse(self, job: AnalyseImage, stage: Stage) -> ImageResult:
        """Raises:
        PictureError: the bytes cannot be decoded.
        """
        with stage("decode"):
            picture = read_picture(job.content)
        with stage("screen"):
            corners = None if self._screens is None else self._screens.find(picture)
            flat: Rectified | None = None
            if corners is not None:
                try:
                    flat = rectify(picture, corners)
                except NotAScreen:
                    return ImageResult(ResultCode.NOT_RECTIFIED, pop_detected=True)
        radiograph = picture if flat is None else flat.picture
        with stage("classify"):
            probability = self._classifier.probability(radiograph)
        result = ImageResult(
            ResultCode.REJECTED,
            pop_detected=flat is not None,
            classifier_confidence=probability,
            rectified=write_jpeg(radiograph) if flat is not None and job.want_rectified else None,
        )
        if not self._classifier.accepts(probability):
            return result
        with stage("landmarks"):
            height, width = radiograph.shape[:2]
            measured = measure(self._ensemble.predict(grey(radiograph)), width, height)
        with stage("render"):
            return _complete(result, measured, radiograph, flat, picture.shape, job.render)


def _complete(
    result: ImageResult,
    measured: Measured,
    radiograph: Picture,
    flat: Rectified | None,
    shape: tuple[int, ...],
    wants_drawing: bool,
) -> ImageResult:
    """The result with what was measured; landmarks go back through the homography to the picture that was sent."""
    points, score = measured.points, measured.score
    if points is None or score is None:
        return replace(result, code=measured.code)
    height, width = radiograph.shape[:2]
    there = points if flat is None else cv2.perspectiveTransform(points[None], np.linalg.inv(flat.homography))[0]
    drawing = render(radiograph, points, score, confidence_of(measured.spread)) if wants_drawing else None
    return replace(
        result,
        code=measured.code,
        vhs=score.vhs,
        vlas=score.vlas,
        landmarks=normalised(there, shape[1], shape[0]),
        rectified_landmarks=None if flat is None else normalised(points, width, height),
        spread=measured.spread,
        axes_perpendicular=score.axes_perpendicular,
        rendered=None if drawing is None else write_png(drawing),
    )


def grey(picture: Picture) -> Picture:
    """(height, width) of a grey or RGB picture."""
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def analyser_of(context: WorkerContext) -> Analyser:
    """The worker's analyser, loaded at its first use and again when a model has come or gone."""
    present = vhs_models(context.weights)
    return context.loaded(f"vhs {present}", lambda device: Analyser(context.weights, device))


def screen_finder_of(context: WorkerContext) -> ScreenFinder:
    """The worker's screen finder, loaded at its first use."""
    return context.loaded("screens", lambda _: ScreenFinder(context.weights))
