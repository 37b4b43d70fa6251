"""The client of NVIDIA's AIAA protocol: ``/v1/models``, ``/v1/segmentation`` ``dextr3d`` ``deepgrow`` ``inference``."""

from __future__ import annotations

import json
import threading
from typing import Any

from .model_info import AIAA, DEXTR3D, PROMPTS, SEGMENTATION, ModelInfo, fromAIAA
from .segmentation_server import LIST_SECONDS, Call, Question, SegmentationServer, rounded
from .sessions import Source

PATHS = {SEGMENTATION: "/v1/segmentation", DEXTR3D: "/v1/dextr3d", PROMPTS: "/v1/deepgrow"}
"""Kind of question → where; all others go to ``/v1/inference``."""


class AIAAClient(SegmentationServer):
    """One AIAA server. A session that it no longer has is HTTP 440."""

    protocol = AIAA
    uploadField = "image"
    imageField = "image"

    def models(self, cancel: threading.Event | None = None) -> list[ModelInfo]:
        """All models of ``GET /v1/models``; entries that cannot be read are left out."""
        body = self._brief(LIST_SECONDS).requestJSON("GET", "/v1/models", cancel=cancel)
        if not isinstance(body, list):
            raise self._odd()
        return [fromAIAA(entry) for entry in body if isinstance(entry, dict) and entry.get("name")]

    def callFor(self, model: ModelInfo, question: Question, source: Source) -> Call:
        """Positions are in ``params``; the image is the session's."""
        path = PATHS.get(question.kind, "/v1/inference")
        if question.kind == SEGMENTATION and model.type not in ("segmentation", "deepedit"):
            path = "/v1/inference"  # a pipeline segments too, but only there
        parameters: dict[str, Any] = dict(question.parameters)
        if question.kind == DEXTR3D:
            parameters["points"] = rounded(question.boundary)
        if question.kind == PROMPTS:
            foreground, background = rounded(question.positive), rounded(question.negative)
            parameters.update(foreground=foreground, background=background)
            parameters.setdefault("current_point", (foreground or background)[-1])
        return Call(path, {"model": model.name}, {"params": json.dumps(parameters)})
