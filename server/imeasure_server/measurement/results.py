"""What `measure` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imeasure_server.imaging.volume import FloatArray

Point3 = tuple[float, float, float]


@dataclass(frozen=True)
class Segment:
    """A straight line in the patient.

    Attributes:
        start: LPS position in mm.
        end: LPS position in mm.
        length: distance between them in mm.
    """

    start: Point3
    end: Point3
    length: float


@dataclass(frozen=True)
class Cross:
    """The two axes of one slice, both in the slice's plane through its voxel centres.

    Attributes:
        long: the greatest extent of the object in this slice.
        short: the greatest extent perpendicular to ``long``.
    """

    long: Segment
    short: Segment


@dataclass(frozen=True)
class Measurements:
    """Size of one segmented object.

    Attributes:
        cross: axes of every slice that holds part of the object, keyed by the slice's index k (``mask[:, :, k]``).
        diameter: the greatest extent in space; None when the mask is empty.
        height: extent along the slice normal; None when the mask is empty.
        volume: number of voxels.
        volume_mm3: volume in mm³.
    """

    cross: dict[int, Cross] = field(default_factory=dict)
    diameter: Segment | None = None
    height: Segment | None = None
    volume: int = 0
    volume_mm3: float = 0.0


def segment_between(ends: FloatArray) -> Segment:
    """The segment between two LPS points in mm, (2, 3)."""
    start, end = ((float(x), float(y), float(z)) for x, y, z in ends)
    return Segment(start, end, float(np.linalg.norm(ends[1] - ends[0])))
