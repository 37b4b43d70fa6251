"""What goes into a request of the logic and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .crop_region import MaskRegion
from .finding_nodes import volumeOf
from .findings import Finding, FindingRow, Measurements
from .geometry import VolumeGeometry
from .imeasure_client import SegmentationAnswer
from .prompts import PromptHistory
from .volume_access import geometryOf


@dataclass(frozen=True)
class SegmentRequest:
    """One question to the server, with all that is needed to ask it on another thread and to write down the answer.

    Attributes:
        volumeNode, segmentationNode: MRML nodes; the segmentation is None when it is still to be made.
        segmentId: None when the segment is still to be made.
        voxels: (k, j, i) view of the volume.
        history: all prompts, local RAS mm.
        previousMask: mask to refine, None to begin anew.
        findingId: UUID of the finding that is refined, or None.
    """

    volumeNode: Any
    segmentationNode: Any
    segmentId: str | None
    voxels: npt.NDArray[Any]
    geometry: VolumeGeometry
    history: PromptHistory
    previousMask: MaskRegion | None
    findingId: str | None


@dataclass(frozen=True)
class SegmentResult:
    """What came of a request.

    Attributes:
        segmentationNode, segmentId: where the mask is.
        finding: with name, prompts and measurements.
        answer: the server's, with the mask on the volume's grid, a warning perhaps, and the seconds that it took.
    """

    segmentationNode: Any
    segmentId: str
    finding: Finding
    answer: SegmentationAnswer

    @property
    def measurements(self) -> Measurements | None:
        """In mm and local RAS; None when parts of the mask were too far away to be sent, and so not measured."""
        return self.finding.measurements


@dataclass(frozen=True)
class FindingReference:
    """A finding and where it is."""

    segmentationNode: Any
    segmentId: str
    finding: Finding

    @property
    def volumeNode(self) -> Any:
        """The volume that it was measured on, or None when it is gone."""
        return volumeOf(self.segmentationNode, self.finding)

    @property
    def row(self) -> FindingRow:
        """Its line in a table."""
        volumeNode = self.volumeNode
        hasVoxels = volumeNode is not None and volumeNode.GetImageData() is not None
        return FindingRow.of(self.finding, geometryOf(volumeNode) if hasVoxels else None)
