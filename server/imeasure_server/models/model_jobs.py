"""What the AIAA and MONAI Label protocols ask of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from imeasure_server.imaging.stored_image import StoredVolume
from imeasure_server.models.inference import LabelArray, ModelInputs
from imeasure_server.models.packed_mask import PackedMask
from imeasure_server.models.reference import ModelReference

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext


@dataclass(eq=False)
class ModelOutcome:
    """A model's answer; see `ModelOutput`.

    Attributes:
        packed: the mask, or None when the model makes none.
        label_names, result: see `ModelOutput`.
        timings: ``load``, ``model``, ``queue``, ``transfer``.
    """

    packed: PackedMask | None
    label_names: Mapping[str, int]
    result: Mapping[str, Any]
    timings: dict[str, float] = field(default_factory=dict)

    @cached_property
    def mask(self) -> LabelArray | None:
        """(x, y, z), read-only; unpacked when it is asked for."""
        return None if self.packed is None else self.packed.unpack()


@dataclass(frozen=True, eq=False)
class RunModel:
    """Ask one model about one image.

    Attributes:
        model: which one.
        image: the image on disk; the worker maps it into its memory, so it does not travel.
        inputs: everything else.
    """

    model: ModelReference
    image: StoredVolume
    inputs: ModelInputs

    def run(self, context: WorkerContext) -> ModelOutcome:
        """Compute, in the worker process.

        Raises:
            SegmentationError: of the model.
        """
        timings: dict[str, float] = {}
        with context.stage("load", timings):
            model = context.model(self.model)
            volume = self.image.open()
        with context.stage("model", timings):
            output = model.infer(volume, self.inputs, context.cancellation)
            packed = None if output.mask is None else PackedMask.pack(output.mask)
        return ModelOutcome(packed, output.label_names, output.result, timings)


@dataclass(eq=False)
class Checked:
    """A model loads."""

    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CheckModel:
    """Load a model, to know that it can be loaded, before anybody is sent to it."""

    model: ModelReference

    def run(self, context: WorkerContext) -> Checked:
        """Raises:
        ModelFailed: it does not load; a sentence.
        """
        timings: dict[str, float] = {}
        with context.stage("load", timings):
            context.model(self.model)
        return Checked(timings)
