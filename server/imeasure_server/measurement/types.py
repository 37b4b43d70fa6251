"""What is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Segment:
    """A straight line in the patient.

    Attributes:
        start, end: LPS mm.
        length: mm.
    """

    start: Point
    end: Point
    length: float


@dataclass(frozen=True)
class Cross:
    """The axes of one slice, perpendicular to each other within half a degree where the outline allows."""

    long: Segment
    short: Segment


@dataclass(frozen=True)
class Measurements:
    """All measurements of one mask.

    Attributes:
        cross: slice index of the mask (``mask[:, :, k]``) to its axes; every non-empty slice has one.
        diameter: greatest distance between two voxel corners of the mask; None for an empty mask.
        height: from the lower face of the lowest slice to the upper face of the highest; None for an empty mask.
        volume: number of voxels.
        volume_mm3: in mm³.
    """

    cross: Mapping[int, Cross] = field(default_factory=dict)
    diameter: Segment | None = None
    height: Segment | None = None
    volume: int = 0
    volume_mm3: float = 0.0
