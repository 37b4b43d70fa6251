"""Drive the four AI effects of the Segment Editor: what a test needs to know about them, in one place."""

from __future__ import annotations

from typing import Any

import driving
import numpy as np
import slicer
from effect_driver import EffectDriver

AUTO, BOUNDARY, CLICKS, SCRIBBLES = "AI Auto segmentation", "AI Boundary points", "AI Smart clicks", "AI Scribbles"


class AIAAEffect(EffectDriver):
    """The Segment Editor with one of the effects on."""

    def __init__(self, name: str, volumeNode: Any, names: tuple[str, ...] = ("Object",), segmentation: Any = None) -> None:
        self.name = name
        super().__init__(volumeNode, names, segmentation)

    def turnOn(self) -> None:
        """Activate the effect, and wait until the server was asked for its models."""
        self.editor.setActiveEffectByName(self.name)
        driving.pump(0.1)

    def connect(self) -> None:
        """Wait until the server has said which models it has."""
        driving.waitUntil(lambda: self.effect.server.isUp, "the server", 30)
        driving.pump(0.1)

    @property
    def isOn(self) -> bool:
        active = self.editor.activeEffect()
        return active is not None and active.name == self.name

    @property
    def effect(self) -> Any:
        return self.editor.effectByName(self.name).self()

    @property
    def ui(self) -> Any:
        """The common widgets, by name."""
        return self.effect.ui

    @property
    def tools(self) -> Any:
        """The effect's own widgets, by name."""
        return self.effect.tools

    @property
    def state(self) -> Any:
        """What the selected segment carries."""
        return self.effect.state

    @property
    def prompts(self) -> tuple:
        return self.state.prompts

    def choose(self, model: str) -> None:
        """Choose a model in the list, as a person does."""
        box = self.ui.modelBox
        index = box.findText(model)
        assert index >= 0, f"There is no {model}: {[box.itemText(i) for i in range(box.count)]}"
        box.setCurrentIndex(index)
        box.activated(index)
        driving.pump(0.1)

    def mask(self, segmentId: str | None = None) -> np.ndarray:
        segmentId = segmentId or self.editor.currentSegmentID()
        return slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segmentId, self.volume) != 0

    def segments(self) -> dict[str, str]:
        """Name → id of the segments that there are."""
        segmentation = self.segmentation.GetSegmentation()
        return {segmentation.GetSegment(one).GetName(): one for one in segmentation.GetSegmentIDs()}

    def undo(self) -> None:
        driving.pressShortcut("Ctrl+Z")
        driving.pump(0.2)
