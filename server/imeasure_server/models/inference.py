"""What a model is given and what it gives back, whichever protocol asks and whichever loader made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Volume
from imeasure_server.segmentation.engine import Cancellation, SegmentationError

Point = tuple[float, float, float]
LabelArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class ModelInputError(SegmentationError):
    """What was sent cannot be answered; the message is a sentence that says what to send instead."""


class ModelFailed(SegmentationError):
    """A model that somebody else made raised an error; the message is a sentence without paths or traces."""


@dataclass(frozen=True)
class PromptBox:
    """A box, both corners inside it (continuous voxel indices, lower <= upper); flat for one on a slice."""

    lower: Point
    upper: Point
    positive: bool = True


@dataclass(frozen=True)
class Polyline:
    """A line drawn by hand, through continuous voxel indices: a scribble, or (closed) a lasso."""

    points: tuple[Point, ...]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Everything beside the image. All coordinates are continuous voxel indices ``(x, y, z)`` of the image.

    Attributes:
        foreground, background: clicks, oldest first.
        extreme_points: six or more points on the object's boundary (DExtr3D).
        current_point: the newest click of a deepgrow request, when the client says which one it is.
        boxes, lassos, scribbles: other prompts.
        label: (x, y, z) mask of the image's shape: to refine, or the scribbles of a scribbles model.
        label_info: what the values of ``label`` mean, as the client named them: name to value.
        roi: ((x0, x1), (y0, y1), (z0, z1)), both inclusive: outside it is background; None for everywhere.
        label_name: which of the model's labels is wanted, or None.
        parameters: everything the client sent, for models with arguments of their own.
    """

    foreground: tuple[Point, ...] = ()
    background: tuple[Point, ...] = ()
    extreme_points: tuple[Point, ...] = ()
    current_point: Point | None = None
    boxes: tuple[PromptBox, ...] = ()
    lassos: tuple[Polyline, ...] = ()
    scribbles: tuple[Polyline, ...] = ()
    label: npt.NDArray[np.integer[Any]] | None = None
    label_info: Mapping[str, int] = field(default_factory=dict)
    roi: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = None
    label_name: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """What a model says.

    Attributes:
        mask: (x, y, z) label values of the image's shape, or None for a model that makes no mask.
        label_names: label name to value, of those that can be in ``mask``.
        result: JSON for the client (AIAA's ``params`` or ``result``, MONAI Label's ``params``).
    """

    mask: LabelArray | None
    label_names: Mapping[str, int] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)


class InferenceModel(Protocol):
    """A loaded model, in a worker process. Holds no state between calls."""

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """Answer one request.

        Args:
            volume: the image; its array may be read-only and memory-mapped.

        Raises:
            ModelInputError: a sentence about what was sent.
            SegmentationError: there is no answer; a sentence.
        """
        ...

    @property
    def device_bytes(self) -> int:
        """Memory that its weights take on the device; 0 when it has none there."""
        ...
