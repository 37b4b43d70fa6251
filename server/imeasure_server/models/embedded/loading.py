"""How each embedded model is made, in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imeasure_server.models.embedded.body_parts import BodyPartsModel
from imeasure_server.models.embedded.prompted import ExtremePointsModel, PromptedModel, SliceModel
from imeasure_server.models.embedded.scribbles import ScribblesModel
from imeasure_server.models.inference import InferenceModel
from imeasure_server.models.worker import WorkerContext
from imeasure_server.segmentation.scribbles.likelihood import histogram_odds, mixture_odds

LOADERS: Mapping[str, Callable[[WorkerContext], InferenceModel]] = {
    "deepgrow_3d": lambda context: PromptedModel(context.engine),
    "deepgrow_2d": lambda context: SliceModel(context.engine),
    "dextr3d": lambda context: ExtremePointsModel(context.engine),
    "segmentation": lambda context: PromptedModel(context.engine),
    "Histogram+GraphCut": lambda context: ScribblesModel(histogram_odds),
    "GMM+GraphCut": lambda context: ScribblesModel(mixture_odds),
    "ct_body_parts": lambda context: BodyPartsModel(),
}
