"""The client of the MONAI Label protocol: ``/info/`` and ``/infer/{model}``."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import quote

import requests

from IMeasureLib.http_client import ServerError

from .model_info import ALL_PROMPTS, DEXTR3D, MONAI_LABEL, PROMPTS, ModelInfo, fromMONAILabel
from .segmentation_server import LIST_SECONDS, Call, Points, Question, SegmentationServer, labelFile, rounded
from .sessions import Source

NEEDS_PROMPTS = "NEEDS_PROMPTS"
"""Code of the error of a model that turns out to take prompts."""


class MONAILabelClient(SegmentationServer):
    """One MONAI Label server. A session that it no longer has is HTTP 404, or an error of its model."""

    protocol = MONAI_LABEL
    uploadField = "files"
    imageField = "file"

    def models(self, cancel: threading.Event | None = None) -> list[ModelInfo]:
        """All models of ``GET /info/``."""
        body = self._brief(LIST_SECONDS).requestJSON("GET", "/info/", cancel=cancel)
        models = body.get("models") if isinstance(body, dict) else None
        if not isinstance(models, dict):
            raise self._odd()
        return [fromMONAILabel(str(name), entry) for name, entry in models.items() if isinstance(entry, dict)]

    def _explained(self, response: requests.Response) -> ServerError:
        """OHIF-AI's servers say of a model that takes prompts only when it is asked without: by the key it misses."""
        error = super()._explained(response)
        if "'nninter'" not in error.message:
            return error
        return ServerError(
            "This model is led by points, boxes and lassos: use it in the Segment Editor, with AI Smart clicks.",
            error.status,
            NEEDS_PROMPTS,
        )

    def callFor(self, model: ModelInfo, question: Question, source: Source) -> Call:
        """Positions are in ``params``; the image is the session's."""
        wide = max(model.labels.values(), default=0) > 255
        parameters: dict[str, Any] = {"result_extension": ".nii.gz", "result_dtype": "uint16" if wide else "uint8"}
        parameters["restore_label_idx"] = True  # else its own apps answer with the labels' order and not their values
        if question.kind == DEXTR3D:
            parameters["points"] = rounded(question.boundary)
        if question.kind == PROMPTS and model.prompts == ALL_PROMPTS:
            parameters.update(_interactive(question))
        elif question.kind == PROMPTS:
            parameters.update(_clicks(model, question))
        if question.labelInfo:
            parameters["label_info"] = [{"name": name, "id": value} for name, value in question.labelInfo.items()]
        if question.roi is not None:
            parameters["roi"] = [value for pair in question.roi for value in pair]
        parameters.update(question.parameters)
        files = (labelFile(question.label, source),) if question.label is not None else ()
        path = f"/infer/{quote(model.name, safe='')}"
        return Call(path, {"output": "all"}, {"params": json.dumps(parameters)}, files)


def _clicks(model: ModelInfo, question: Question) -> dict[str, Any]:
    """Clicks of DeepGrow; and of DeepEdit, which has those of each structure under its name."""
    foreground, background = rounded(question.positive), rounded(question.negative)
    clicks: dict[str, Any] = {"foreground": foreground, "background": background}
    meant = question.labelName or next(iter(model.labels), "")
    if meant:
        clicks["label"] = meant
    if model.type == "deepedit":
        clicks.update({name: foreground if name == meant else [] for name in model.labels})
    return clicks


def _interactive(question: Question) -> dict[str, Any]:
    """The eight arrays of OHIF-AI's prompts."""
    return {
        "nninter": "sam3",
        "pos_points": rounded(question.positive),
        "neg_points": rounded(question.negative),
        "pos_boxes": [_box(box) for box in question.positiveBoxes],
        "neg_boxes": [_box(box) for box in question.negativeBoxes],
        "pos_lassos": [rounded(line) for line in question.positiveLassos],
        "neg_lassos": [rounded(line) for line in question.negativeLassos],
        "pos_scribbles": [rounded(line) for line in question.positiveScribbles],
        "neg_scribbles": [rounded(line) for line in question.negativeScribbles],
    }


def _box(box: Points) -> list[list[int]]:
    """Two corners: the form that also boxes of more than one slice fit."""
    return rounded(box)
