"""The models that every server has: nothing to install, nothing to configure.

What they are is known without loading what computes them, since the HTTP process lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imeasure_server.models.description import ModelDescription
from imeasure_server.models.embedded.catalogue import DESCRIPTIONS

if TYPE_CHECKING:
    from imeasure_server.models.inference import InferenceModel
    from imeasure_server.models.worker import WorkerContext

LOADER = "embedded"


def descriptions() -> tuple[ModelDescription, ...]:
    """All embedded models, in the order in which they are listed."""
    return DESCRIPTIONS


def load(name: str, context: WorkerContext) -> InferenceModel:
    """An embedded model, in a worker.

    Raises:
        KeyError: there is none of that name.
    """
    from imeasure_server.models.embedded.loading import LOADERS

    return LOADERS[name](context)
