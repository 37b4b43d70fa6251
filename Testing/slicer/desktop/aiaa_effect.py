"""Drive the four AI effects of the Segment Editor: what a test needs to know about them, in one place."""

from __future__ import annotations

from typing import Any

import driving
import numpy as np
import slicer
from effect_driver import EffectDriver, worldOf

AUTO, BOUNDARY, CLICKS, SCRIBBLES = "AI Auto segmentation", "AI Boundary points", "AI Smart clicks", "AI Scribbles"


class AIAAEffect(EffectDriver):
    """The Segment Editor with one of the effects on."""

    def __init__(
        self, name: str, volumeNode: Any, names: tuple[str, ...] = ("Object",), segmentation: Any = None
    ) -> None:
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


def extremePoints(volumeNode: Any, truth: np.ndarray) -> list:
    """World RAS of six voxels of a (k, j, i) mask: the first and the last along each axis of the volume."""
    voxels = np.argwhere(truth)
    ends = [choose(voxels[:, axis]) for axis in (2, 1, 0) for choose in (np.argmin, np.argmax)]
    return [worldOf(volumeNode, voxels[index]) for index in ends]


def outlyingVoxel(mask: np.ndarray, truth: np.ndarray, k: int) -> tuple[int, int, int]:
    """A voxel of the mask on slice k, as far from the middle of the truth as there is."""
    middle = np.argwhere(truth[k]).mean(axis=0)
    candidates = np.argwhere(mask[k])
    j, i = candidates[np.argmax(np.linalg.norm(candidates - middle, axis=1))]
    return k, int(j), int(i)


def ball(shape: tuple[int, ...], center: Any, radius: float) -> np.ndarray:
    """(k, j, i) bool, voxels within ``radius`` voxels of ``center`` (k, j, i)."""
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum((grid - c) ** 2 for grid, c in zip(grids, center)) <= radius**2
