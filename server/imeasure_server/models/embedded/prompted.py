"""The models that answer prompts, on the server's engine: deepgrow, DExtr3D, and the SAM-style one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.models.inference import ModelInputError, ModelInputs, ModelOutput, Point
from imeasure_server.segmentation.deepgrow import segment_on_slice
from imeasure_server.segmentation.engine import Cancellation, SegmentationEngine
from imeasure_server.segmentation.extreme_points import segment_between
from imeasure_server.segmentation.object_prompts import ObjectPrompts
from imeasure_server.segmentation.promptable import segment_object
from imeasure_server.segmentation.prompts import Box, voxel_of

OBJECT: Mapping[str, int] = {"object": 1}


class _OnEngine:
    """A model that has no weights of its own: the engine is loaded anyway.

    Args:
        engine: of the worker.
    """

    device_bytes = 0

    def __init__(self, engine: SegmentationEngine) -> None:
        self._engine = engine


class PromptedModel(_OnEngine):
    """Points, boxes, scribbles, lassos and a label to refine, all at once; MONAI Label's ``segmentation``."""

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel.infer`."""
        return answer(segment_object(self._engine, volume, object_prompts(inputs), cancellation))


class SliceModel(_OnEngine):
    """Clicks on one slice: that of the current point, or of the last positive click."""

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel.infer`."""
        prompts = object_prompts(inputs)
        index = None if inputs.current_point is None else slice_index(inputs.current_point)
        clicks = prompts.positive_points, prompts.negative_points
        return answer(segment_on_slice(self._engine, volume, *clicks, index, cancellation))


class ExtremePointsModel(_OnEngine):
    """Six or more points on the boundary."""

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel.infer`."""
        points = inputs.extreme_points or inputs.foreground
        return answer(segment_between(self._engine, volume, points, cancellation))


def object_prompts(inputs: ModelInputs) -> ObjectPrompts:
    """The prompts of a request, as the engines' side knows them.

    A current point that is in neither list of points is a positive one.
    """
    foreground = inputs.foreground
    current = inputs.current_point
    if current is not None and not foreground and current not in inputs.background:
        foreground = (current,)
    return ObjectPrompts(
        foreground,
        inputs.background,
        tuple(Box(box.lower, box.upper) for box in inputs.boxes if box.positive),
        tuple(Box(box.lower, box.upper) for box in inputs.boxes if not box.positive),
        tuple(line.points for line in inputs.lassos if line.positive),
        tuple(line.points for line in inputs.lassos if not line.positive),
        tuple(line.points for line in inputs.scribbles if line.positive),
        tuple(line.points for line in inputs.scribbles if not line.positive),
        inputs.label,
    )


def slice_index(point: Point) -> int:
    """Of the slice that a continuous voxel index lies on.

    Raises:
        ModelInputError: it is no number.
    """
    if not np.isfinite(point).all():
        raise ModelInputError("The current point is not three numbers: send x, y and z in voxels of the image.")
    return voxel_of(point)[2]


def answer(mask: BoolArray) -> ModelOutput:
    """A mask of one object."""
    return ModelOutput(mask.view(np.uint8), OBJECT)
