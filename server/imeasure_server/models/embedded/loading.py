"""How each embedded model is made, in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imeasure_server.models.embedded.prompted import ExtremePointsModel, PromptedModel
from imeasure_server.models.inference import InferenceModel
from imeasure_server.models.worker import WorkerContext

LOADERS: Mapping[str, Callable[[WorkerContext], InferenceModel]] = {
    "deepgrow_3d": lambda context: PromptedModel(context.engine),
    "dextr3d": lambda context: ExtremePointsModel(context.engine),
    "segmentation": lambda context: PromptedModel(context.engine),
}
