"""What the server said of one picture, and the sentences that tell it to a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .landmarks import LANDMARK_NAMES, Points

ABNORMAL, OPTIMAL, MODERATE, LOW_CONFIDENCE, NO_VLAS, NOTHING_MEASURED, REJECTED, NOT_RECTIFIED = range(8)
"""The contract's result codes."""

CODE_SENTENCES = {
    ABNORMAL: "The answer makes no sense: no score. Look at the landmarks, or try another picture.",
    OPTIMAL: "VHS and VLAS measured; the models agree closely.",
    MODERATE: "VHS and VLAS measured; the models agree fairly well. Look at the landmarks.",
    LOW_CONFIDENCE: "VHS and VLAS measured, but the models disagree. Check every landmark before you use the numbers.",
    NO_VLAS: "VHS measured; VLAS could not be calculated. Drag the landmark VLAS to where it belongs.",
    NOTHING_MEASURED: "Neither VHS nor VLAS could be calculated. Send a whole lateral chest, not too dark.",
    REJECTED: "The picture was rejected.",
    NOT_RECTIFIED: "This is a photo of a screen, and its perspective could not be corrected. Use “Photo of a screen”.",
}

REJECTION_SENTENCES = {
    "not_a_valid_radiograph": "it does not look like a lateral chest radiograph of a dog",
}

CONFIDENCE_SENTENCES = {
    "optimal": "Confidence optimal",
    "good": "Confidence good: visual check suggested",
    "review": "Confidence low: review every landmark",
}
"""The contract's tiers of the spread between the models."""


class AnswerError(ValueError):
    """The server's answer is none of the contract's."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The contract's answer for a single image.

    Attributes:
        code: result code, 0 to 7.
        description: the server's own words for it.
        vhs, vlas: in vertebrae, or None.
        points: landmarks as fractions of the picture, or None when there are none.
        confidence: ``optimal``, ``good`` or ``review``; "" when the server did not say.
        spread: standard deviation between the models, in fractions of the picture; None when not given.
        popDetected: whether a photo of a screen was found and straightened for the measurement.
        modelVersion: of the server.
        classifierConfidence: 0 to 1, how sure the classifier is of its rejection; given with rejections.
        rejectionReason: the contract's word, "" when not rejected.
        historicVHS, historicVLAS: (date, value) of earlier measurements of this patient.
        analysedAt: when this was asked, ISO 8601 with the time zone.
    """

    code: int
    description: str
    vhs: float | None = None
    vlas: float | None = None
    points: Points | None = None
    confidence: str = ""
    spread: float | None = None
    popDetected: bool = False
    modelVersion: str = ""
    classifierConfidence: float | None = None
    rejectionReason: str = ""
    historicVHS: tuple[tuple[str, float], ...] = ()
    historicVLAS: tuple[tuple[str, float], ...] = ()
    analysedAt: str = ""

    @property
    def isRejected(self) -> bool:
        return self.code == REJECTED

    @property
    def sentence(self) -> str:
        """What came out, for the person at the screen."""
        if not self.isRejected:
            return CODE_SENTENCES.get(self.code, self.description)
        why = REJECTION_SENTENCES.get(self.rejectionReason, self.rejectionReason.replace("_", " ") or self.description)
        sure = self.classifierConfidence
        rest = "" if sure is None else f" (the classifier is {sure:.0%} sure)"
        return f"Rejected: {why}{rest}. Nothing was measured."

    @property
    def confidenceSentence(self) -> str:
        """How sure the models are, "" when they did not say."""
        words = CONFIDENCE_SENTENCES.get(self.confidence, self.confidence)
        if not words or self.spread is None:
            return words
        return f"{words} (spread {self.spread:.4f} of the picture)"

    def within(self, reach: tuple[float, float]) -> Answer:
        """The answer for the picture that the sent file was made of (``EncodedPicture.reach``)."""
        return self if self.points is None else replace(self, points=self.points * np.array(reach))

    def toJSON(self) -> str:
        """For the scene."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["points"] = None if self.points is None else self.points.tolist()
        return json.dumps(values, ensure_ascii=False)

    @staticmethod
    def fromJSON(text: str) -> Answer:
        """Raises AnswerError when ``text`` is damaged or of a newer VHSAnalyzer."""
        try:
            values = json.loads(text)
            if values["points"] is not None:
                values["points"] = _points(values["points"])
            for name in ("historicVHS", "historicVLAS"):
                values[name] = _series(values[name])
            return Answer(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise AnswerError("What is stored of the model's answer cannot be read.") from error


def answerOf(body: Any, analysedAt: str = "") -> Answer:
    """The answer in a response of ``/v3/predict`` for a single image.

    Raises:
        AnswerError: it is none.
    """
    if not isinstance(body, Mapping):
        raise AnswerError("The server's answer is not what the RadAnalyzer interface describes.")
    try:
        prediction = body.get("prediction")
        return Answer(
            code=int(body["result_code"]),
            description=str(body.get("result_description", "")),
            vhs=_number(body.get("vhs")),
            vlas=_number(body.get("vlas")),
            points=_landmarks(prediction) if prediction else None,
            confidence=str(body.get("model_confidence") or ""),
            spread=_number(body.get("spread")),
            popDetected=bool(body.get("pop_detected", False)),
            modelVersion=str(body.get("model_version", "")),
            classifierConfidence=_number(body.get("classifier_confidence")),
            rejectionReason=str(body.get("rejection_reason") or ""),
            historicVHS=_series(body.get("historic_vhs")),
            historicVLAS=_series(body.get("historic_vlas")),
            analysedAt=analysedAt,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerError("The server's answer is not what the RadAnalyzer interface describes.") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _points(rows: Any) -> Points:
    points = np.asarray(rows, dtype=float)
    if points.shape != (len(LANDMARK_NAMES), 2) or not np.isfinite(points).all():
        raise ValueError("landmarks")
    return points


def _landmarks(prediction: Any) -> Points:
    """The rows by their names: their order is not relied upon."""
    byName = {item["class"]: (item["x"], item["y"]) for item in prediction}
    return _points([byName[name] for name in LANDMARK_NAMES])


def _series(pairs: Any) -> tuple[tuple[str, float], ...]:
    return tuple((str(date), float(value)) for date, value in pairs or ())
