"""An effect's state in a segment's tag: it goes with the segment through undo, and through saving and loading."""

from __future__ import annotations

from typing import Any

from IMeasureLib.finding_nodes import segmentOf, tagOf

from .state import EffectState


class StateTag:
    """Reads and writes one tag; what was read last is not parsed again.

    Args:
        tag: its name.
    """

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._last: tuple[str, EffectState] = ("", EffectState())

    def read(self, segmentationNode: Any, segmentId: str) -> EffectState:
        """What a segment carries; an empty state where there is none.

        Raises:
            PromptError: it is damaged or of a newer version.
        """
        text = self.text(segmentationNode, segmentId)
        if text != self._last[0]:
            self._last = (text, EffectState.fromJSON(text) if text else EffectState())
        return self._last[1]

    def write(self, segmentationNode: Any, segmentId: str, state: EffectState) -> None:
        """Make a segment carry a state."""
        segment = segmentOf(segmentationNode, segmentId)
        if segment is None:
            return
        if state.isEmpty:
            segment.RemoveTag(self._tag)
            return
        text = state.toJSON()
        self._last = (text, state)
        segment.SetTag(self._tag, text)

    def text(self, segmentationNode: Any, segmentId: str) -> str:
        """The tag as it is; "" for none."""
        return tagOf(segmentationNode, segmentId, self._tag) if segmentationNode is not None and segmentId else ""
