"""What can be asked of a worker: objects that say how they are run, so that the pool need not know their kinds.

A new kind of job (landmarks, a MONAI bundle) is a picklable class with ``run(context)``; its outcome has ``timings``.
This module is imported where HTTP is answered, so ``run`` imports what computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from imeasure_server.imaging.volume import BoolArray

if TYPE_CHECKING:
    from imeasure_server.measurement import Measurements
    from imeasure_server.models.worker import WorkerContext


class Outcome(Protocol):
    """What a job gives back.

    Attributes:
        timings: seconds by stage; the pool adds ``queue`` (waited) and ``transfer`` (to the worker and back).
    """

    timings: dict[str, float]


OutcomeT_co = TypeVar("OutcomeT_co", bound=Outcome, covariant=True)


class Job(Protocol[OutcomeT_co]):
    """Work for a worker process; it travels there by pickle."""

    def run(self, context: WorkerContext) -> OutcomeT_co:
        """Compute, in the worker process. `SegmentationError` and `PictureError` travel back as themselves."""
        ...


@dataclass(eq=False)
class SegmentationOutcome:
    """A mask and what was measured on it.

    Attributes:
        mask: (x, y, z) bool of the volume's shape.
        measurements: in LPS mm.
        timings: seconds: ``engine``, ``measure``, ``queue``, ``transfer``.
    """

    mask: BoolArray
    measurements: Measurements
    timings: dict[str, float] = field(default_factory=dict)
