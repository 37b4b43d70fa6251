"""The client of the RadAnalyzer V3 protocol: ``/v3/predict``, ``/v3/corners``, ``/v3/rectify`` and ``/v3/health``."""

from __future__ import annotations

import base64
import binascii
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import requests

from IMeasureLib.http_client import HttpClient, ServerError
from IMeasureLib.jobs import Progress

from .answers import Answer, AnswerError, answerOf

READ_SECONDS = 300.0
"""The contract's time limit of a request."""

HEALTH_SECONDS = 10.0
NO_SCREEN = "Corner detection failed"
NO_POP = "PoP pipeline not available"
NO_MODELS = "Prediction models not available"

ADVICE = {
    NO_SCREEN: "No screen was found in the picture. Drag the four corners onto the screen's yourself.",
    NO_POP: "The server has no models for photos of screens. Its log says which files are missing.",
    NO_MODELS: "The server has no models for the heart score. Its log says which files are missing.",
}
"""The contract's error texts → what happened and what to do."""


@dataclass(frozen=True)
class Health:
    """What ``/v3/health`` says."""

    status: str
    modelsLoaded: int
    popPipeline: bool
    modelVersion: str

    @property
    def trouble(self) -> str:
        """Why nothing can be measured, "" when it can."""
        return ADVICE[NO_MODELS] if self.modelsLoaded == 0 else ""


class VHSClient(HttpClient):
    """One server. Methods block, and raise ``ServerError`` with a sentence, or ``Cancelled``."""

    service = "VHS server"

    def __init__(self, address: str, apiKey: str = "", readSeconds: float = READ_SECONDS, **options: Any) -> None:
        super().__init__(address, apiKey, readSeconds=readSeconds, **options)

    def check(self, cancel: threading.Event | None = None) -> Health:
        """The same, for the panel's first line: a service that cannot measure is a ``ServerError``."""
        health = self.health(cancel)
        if health.trouble:
            raise ServerError(health.trouble, 503)
        return health

    def health(self, cancel: threading.Event | None = None) -> Health:
        """Ask how the service is: whether it is there, accepts the key, and has its models."""
        brief = VHSClient(self.address, self._apiKey, readSeconds=HEALTH_SECONDS, busySeconds=0.0)
        body = brief.requestJSON("GET", "/v3/health", cancel=cancel)
        try:
            return Health(
                str(body["status"]),
                int(body["models_loaded"]),
                bool(body["pop_pipeline_enabled"]),
                str(body["model_version"]),
            )
        except (KeyError, TypeError, ValueError):
            raise self._odd() from None

    def predict(
        self,
        content: bytes,
        uuid: str = "",
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        """Measure one JPEG or PNG file; ``uuid`` names the patient, "" for nobody."""
        body = {"image": _text(content), "render": False}
        if uuid:
            body["uuid"] = uuid
        answer = self.requestJSON("POST", "/v3/predict", json=body, cancel=cancel, progress=progress)
        try:
            return answerOf(answer, datetime.now().astimezone().isoformat(timespec="seconds"))
        except AnswerError:
            raise self._odd() from None

    def corners(
        self, content: bytes, cancel: threading.Event | None = None, progress: Progress | None = None
    ) -> npt.NDArray[np.float64] | None:
        """(4, 2) corners of the screen in pixels of the picture: TL, TR, BR, BL; None when there is no screen."""
        try:
            body = self.requestJSON(
                "POST", "/v3/corners", json={"image": _text(content)}, cancel=cancel, progress=progress
            )
        except ServerError as error:
            if error.status == 422:
                return None
            raise
        try:
            corners = np.asarray(body["corners"], dtype=float)
        except (KeyError, TypeError, ValueError):
            raise self._odd() from None
        if corners.shape != (4, 2) or not np.isfinite(corners).all():
            raise self._odd()
        return corners

    def rectify(
        self,
        content: bytes,
        corners: npt.ArrayLike,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """The flat screen as a JPEG file."""
        request = {"image": _text(content), "corners": np.asarray(corners, dtype=float).round(3).tolist()}
        body = self.requestJSON("POST", "/v3/rectify", json=request, cancel=cancel, progress=progress)
        try:
            return base64.b64decode(body["rectified_image"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise self._odd() from None

    def _odd(self) -> ServerError:
        return ServerError(
            f"{self.address} answered, but not as the RadAnalyzer interface describes. Check the address."
        )

    def isBusy(self, response: requests.Response) -> bool:
        """Models that are missing will not come by waiting."""
        return super().isBusy(response) and _errorText(response) not in (NO_POP, NO_MODELS)

    def _explained(self, response: requests.Response) -> ServerError:
        """The contract's errors have no code: its texts stand for one."""
        text = _errorText(response)
        status = response.status_code
        if text in ADVICE:
            return ServerError(ADVICE[text], status, text)
        if status == 413:
            return ServerError("The picture is larger than the server takes.", status, text)
        if status in (400, 422) and text:
            return ServerError(f"The server cannot use the picture: {text.rstrip('.')}.", status, text)
        return super()._explained(response)


def _errorText(response: requests.Response) -> str:
    """The contract's text of an error, "" when there is none."""
    try:
        return str(response.json().get("error", ""))
    except (ValueError, AttributeError):
        return ""


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
