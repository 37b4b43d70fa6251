"""One tool at work on one volume: mouse events in, finished prompt steps out, the unfinished one drawn in its view."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import slicer
from slicer.i18n import tr as _

from .prompt_markups import PromptMarkups
from .prompts import Step
from .slice_interaction import SliceInteraction, SliceMouse
from .slice_preview import SlicePreview
from .tools import TOOLS, MagicPenTool, Tool
from .volume_access import geometryOf, localToWorld, worldToLocal

AXIAL_COSINE = 0.999
"""A view whose normal is closer than this to the volume's slice normal shows its slices (2.5 degrees)."""

GRAB_PIXELS = 7.0
"""A press nearer than this to a prompt drags it."""


class ToolSession:
    """Connects the mouse in the slice views to a tool.

    Args:
        onStep: called with a finished step, local RAS mm of the volume.
        onProgress: called when a step was begun or forgotten.
        onRefused: called with a sentence when a press is not taken.
        prompts: the prompts in the views: a press right on one drags it and is not a click.
    """

    def __init__(
        self,
        onStep: Callable[[Step], None],
        onProgress: Callable[[], None],
        onRefused: Callable[[str], None],
        prompts: PromptMarkups,
    ) -> None:
        self._onStep, self._onProgress, self._onRefused = onStep, onProgress, onRefused
        self._interaction = SliceInteraction(self._onMouse, self._onViewChanged, self._isOnPrompt)
        self._prompts = prompts
        self._tool: Tool | None = None
        self._volumeNode: Any = None
        self._preview: SlicePreview | None = None
        self._previewView = ""
        self._isRefused = False

    @property
    def toolName(self) -> str | None:
        """Name of the tool at work, None when there is none."""
        return self._tool.name if self._tool else None

    @property
    def volumeNode(self) -> Any:
        """The volume at which the tool works, None when there is no tool."""
        return self._volumeNode

    @property
    def isBusy(self) -> bool:
        """Whether a step was begun and not finished."""
        return self._tool is not None and self._tool.isBusy

    def start(self, toolName: str, volumeNode: Any) -> None:
        """Put a tool to work.

        Raises:
            VolumeError, GeometryError: the volume cannot be used.
        """
        self.stop()
        self._tool = TOOLS[toolName](geometryOf(volumeNode))
        self._volumeNode = volumeNode
        self._interaction.start()

    def stop(self) -> None:
        """Give the mouse back and forget an unfinished step."""
        self._interaction.stop()
        self._clearPreview()
        self._tool = self._volumeNode = None

    def cancelStep(self) -> bool:
        """Forget the unfinished step; False when there was none."""
        if self._tool is None or not self._tool.isBusy:
            return False
        self._tool.cancel()
        self._clearPreview()
        self._onProgress()
        return True

    def _onMouse(self, mouse: SliceMouse) -> None:
        if self._tool is None or (mouse.kind == "move" and not self._tool.isBusy):
            return
        local = worldToLocal(self._volumeNode, mouse.ras)[0]
        if mouse.kind == "press":
            refusal = self._refusal(mouse, local)
            self._isRefused = bool(refusal)
            if refusal:
                self._onRefused(refusal)
                return
            self._previewIn(mouse.view)
            step = self._tool.press(local, not mouse.exclude)
        elif mouse.kind == "move":
            step = self._tool.move(local)
        elif self._isRefused:
            return
        else:
            step = self._tool.release(local)
        self._drawPreview()
        if step is not None:
            self._onStep(step)
        elif mouse.kind != "move":
            self._onProgress()

    def _refusal(self, mouse: SliceMouse, local: np.ndarray) -> str:
        """Why a press there is not taken, "" when it is."""
        assert self._tool is not None
        if not self._tool.geometry.contains(local):
            return _("That is outside the volume {name}.").format(name=self._volumeNode.GetName())
        if mouse.exclude and self._tool.name != "TrueClick":
            return _("{tool} takes left clicks only. TrueClick excludes with the right button.").format(
                tool=self._tool.name
            )
        if isinstance(self._tool, MagicPenTool) and not self._showsSlices(mouse, local):
            return _("MagicPen draws on the volume's own slices: use the axial view (Red, as a rule).")
        return ""

    def _showsSlices(self, mouse: SliceMouse, local: np.ndarray) -> bool:
        """Whether a view lies in the plane of the volume's slices."""
        assert self._tool is not None
        ahead = worldToLocal(self._volumeNode, mouse.ras + mouse.normal)[0] - local
        cosine = float(ahead @ self._tool.geometry.directions[:, 2]) / float(np.linalg.norm(ahead))
        return abs(cosine) > AXIAL_COSINE

    def _isOnPrompt(self, ras: np.ndarray, view: str) -> bool:
        """Whether a press there drags a prompt. Slicer would take it from farther away, where one wants to click."""
        if isinstance(self._tool, MagicPenTool) or not self._prompts.isHovered:
            return False
        xyToRas = slicer.util.arrayFromVTKMatrix(
            slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().GetXYToRAS()
        )
        millimetresPerPixel = float(np.linalg.norm(xyToRas[:3, 0]))
        for node in self._prompts.nodes:
            points = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
            if len(points) and np.linalg.norm(points - ras, axis=1).min() <= GRAB_PIXELS * millimetresPerPixel:
                return True
        return False

    # ---- drawing

    def _previewIn(self, view: str) -> None:
        if self._preview is not None and self._previewView == view:
            return
        self._clearPreview()
        self._preview = SlicePreview(slicer.app.layoutManager().sliceWidget(view))
        self._previewView = view

    def _drawPreview(self) -> None:
        if self._preview is None or self._tool is None:
            return
        points = self._tool.preview
        world = localToWorld(self._volumeNode, points) if points else np.zeros((0, 3))
        self._preview.show(world, dots=not isinstance(self._tool, MagicPenTool))

    def _clearPreview(self) -> None:
        if self._preview is not None:
            self._preview.remove()
        self._preview = None
        self._previewView = ""

    def _onViewChanged(self, view: str) -> None:
        if self._preview is not None and view == self._previewView:
            self._preview.update()
