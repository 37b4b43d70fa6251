"""A server that speaks both protocols, as iMeasure's does: each model is asked in the one that can say more."""

from __future__ import annotations

import threading

from IMeasureLib.jobs import Progress

from .aiaa_client import AIAAClient
from .model_info import ALL_PROMPTS, SCRIBBLES, ModelInfo
from .monailabel_client import MONAILabelClient
from .segmentation_server import Call, Question, Reply, SegmentationServer
from .sessions import Source


def mergedModels(aiaa: list[ModelInfo], monailabel: list[ModelInfo]) -> list[ModelInfo]:
    """Each model once: as MONAI Label's where it takes what AIAA cannot say (boxes, lassos, strokes, scribbles), else
    as AIAA's, whose answer to a lost session is its own status."""
    byName = {model.name: model for model in aiaa}
    for model in monailabel:
        if model.name not in byName or model.prompts == ALL_PROMPTS or SCRIBBLES in model.kinds:
            byName[model.name] = model
    return list(byName.values())


class BothProtocols(SegmentationServer):
    """One address, two clients that share their sessions."""

    def __init__(self, aiaa: AIAAClient, monailabel: MONAILabelClient) -> None:
        super().__init__(aiaa.address, aiaa.apiKey, aiaa.sessions)
        self._clients: dict[str, SegmentationServer] = {aiaa.protocol: aiaa, monailabel.protocol: monailabel}
        self._aiaa, self._monailabel = aiaa, monailabel

    def models(self, cancel: threading.Event | None = None) -> list[ModelInfo]:
        return mergedModels(self._aiaa.models(cancel), self._monailabel.models(cancel))

    def callFor(self, model: ModelInfo, question: Question, source: Source) -> Call:
        return self._clients[model.protocol].callFor(model, question, source)

    def closeSession(self, session: str) -> None:
        self._aiaa.closeSession(session)

    def infer(
        self,
        model: ModelInfo,
        question: Question,
        source: Source,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Reply:
        return self._clients[model.protocol].infer(model, question, source, cancel, progress)
