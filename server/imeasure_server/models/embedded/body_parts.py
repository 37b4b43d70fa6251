"""Parts of the body on a CT."""

from __future__ import annotations

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.inference import ModelInputs, ModelOutput
from imeasure_server.segmentation.body_parts.labelling import PARTS, label_parts
from imeasure_server.segmentation.engine import Cancellation


class BodyPartsModel:
    """Body, lungs, bones, airways, fat and muscle, by classical methods."""

    device_bytes = 0

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel.infer`; nothing of ``inputs`` is used."""
        return ModelOutput(label_parts(volume, cancellation), PARTS)
