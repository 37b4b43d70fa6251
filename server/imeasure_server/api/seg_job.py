"""What ``POST /seg`` asks of a worker process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.jobs import SegmentationOutcome
from imeasure_server.segmentation.engine import SegmentationError
from imeasure_server.segmentation.padding import Padding, segment_padded
from imeasure_server.segmentation.prompts import Prompts

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext


class OutputShapeError(SegmentationError):
    """An engine returned a mask that is not of the volume's shape; ``args[0]`` is the mask's."""


@dataclass(frozen=True, eq=False)
class CropJob:
    """Segment one object in a crop that the end of the scan may have cut short, and measure it.

    Attributes:
        volume: the crop in HU.
        prompts: in voxels of ``volume``.
        padding: what the crop lacks; made here, so that it need not travel.
    """

    volume: Volume
    prompts: Prompts
    padding: Padding

    def run(self, context: WorkerContext) -> SegmentationOutcome:
        """Compute, in the worker process.

        Raises:
            OutputShapeError: the engine's mask is not of the volume's shape.
            SegmentationError: of the engine.
        """
        from imeasure_server.measurement import measure

        timings: dict[str, float] = {}
        with context.stage("engine", timings):
            mask = segment_padded(context.engine, self.volume, self.prompts, self.padding, context.cancellation)
        if mask.shape != self.volume.geometry.shape:
            raise OutputShapeError(mask.shape)
        with context.stage("measure", timings):
            measurements = measure(mask, self.volume.geometry)
        return SegmentationOutcome(mask, measurements, timings)
