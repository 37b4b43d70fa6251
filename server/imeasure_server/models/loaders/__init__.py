"""From a model's reference to a model that can be asked, in a worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imeasure_server.models.inference import InferenceModel, ModelFailed
from imeasure_server.models.reference import ModelReference

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext


def load_model(reference: ModelReference, context: WorkerContext) -> InferenceModel:
    """Load a model onto the worker's device.

    Raises:
        ModelFailed: it does not load; a sentence.
    """
    if reference.loader == "embedded":
        from imeasure_server.models import embedded

        return embedded.load(reference.name, context)
    raise ModelFailed(f"This server has no loader named {reference.loader!r}.")
