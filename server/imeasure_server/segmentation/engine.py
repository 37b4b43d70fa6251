"""The seam between the protocols and the algorithms: one engine protocol that every protocol of the server uses."""

from __future__ import annotations

from typing import Protocol

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.prompts import Prompts


class SegmentationError(Exception):
    """The engine cannot answer; the message is a sentence for the person who asked."""


class EmptySegmentationError(SegmentationError):
    """Nothing can be segmented from these prompts."""


class OutsideVolumeError(SegmentationError):
    """A click lies outside the volume."""


class ConflictingPromptsError(SegmentationError):
    """Prompts that no mask can satisfy: one voxel clicked as object and as not the object."""


class SegmentationCancelled(SegmentationError):
    """Nobody waits for the answer any more."""


class Cancellation(Protocol):
    """Asked between the stages of an engine; `threading.Event` satisfies it."""

    def is_set(self) -> bool: ...


class SegmentationEngine(Protocol):
    """An algorithm that turns a volume and prompts into a mask.

    Engines hold no state between calls, are deterministic, and keep the rules of ``binding.py``: every positive point
    lies inside the mask, every negative one outside, and an edit of ``prompts.previous_mask`` stays near what is new.
    """

    name: str
    device: str

    def segment(self, volume: Volume, prompts: Prompts, cancellation: Cancellation | None = None) -> BoolArray:
        """Segment one object.

        Args:
            volume: CT in Hounsfield units or another scalar image, any shape and geometry.
            prompts: in voxel coordinates of ``volume``.
            cancellation: looked at between stages.

        Returns:
            (x, y, z) bool mask of ``volume``'s shape with at least one voxel.

        Raises:
            EmptySegmentationError: nothing can be segmented.
            OutsideVolumeError: a click lies outside the volume.
            ConflictingPromptsError: the prompts contradict each other.
            SegmentationCancelled: ``cancellation`` was set.
        """
        ...
