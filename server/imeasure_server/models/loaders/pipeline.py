"""A pipeline: models that run one after the other on an image, their labels in one mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.inference import InferenceModel, ModelInputs, ModelOutput
from imeasure_server.models.loaders.answers import as_mask
from imeasure_server.models.loaders.regions import box_region
from imeasure_server.segmentation.engine import Cancellation


class PipelineModel:
    """Runs its models in order. Each may look at the whole image, or at the region that the ones before it have found.

    Labels of the same name are one label; others get values of their own. Where masks overlap, the later model wins.
    """

    def __init__(self, steps: Sequence[tuple[Mapping[str, Any], InferenceModel]], labels: Mapping[str, int]) -> None:
        """Args:
        steps: what the config says of each model (``region``, ``margin`` in mm), and the model.
        labels: of the config, which go before those of the models; may be empty.
        """
        self._steps = steps
        self._labels = labels

    @property
    def device_bytes(self) -> int:
        return 0  # its models count themselves

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """Answer one request; see `InferenceModel`."""
        mask: npt.NDArray[np.int32] = np.zeros(volume.geometry.shape, np.int32)
        names: dict[str, int] = dict(self._labels)
        result: dict[str, Any] = {}
        found_mask = False
        for step, model in self._steps:
            region = None
            if step["region"] == "previous":
                found = np.argwhere(mask)
                if len(found) == 0:
                    continue  # nothing was found to look closer at
                margin = float(step["margin"]) / volume.geometry.spacing
                region = box_region(found.min(axis=0), found.max(axis=0), margin, volume.geometry.shape)
            part, part_inputs = (volume, inputs) if region is None else region.cut(volume, inputs)
            output = model.infer(part, part_inputs, cancellation)
            result.update(output.result)
            if output.mask is not None:
                found_mask = True
                values = output.mask if region is None else region.put_back(output.mask, volume.geometry.shape)
                _merge(mask, values, output.label_names, names)
        return ModelOutput(as_mask(mask) if found_mask else None, names if found_mask else {}, result)


def _merge(
    mask: npt.NDArray[np.int32], values: npt.NDArray[Any], labels: Mapping[str, int], names: dict[str, int]
) -> None:
    """Put a model's labels into the mask, under the values that their names have in it."""
    by_value = {value: name for name, value in labels.items()}
    for value in np.unique(values):
        if value == 0:
            continue
        name = by_value.get(int(value), f"label {int(value)}")
        if name not in names:
            names[name] = max(names.values(), default=0) + 1
        mask[values == value] = names[name]
