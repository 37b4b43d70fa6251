"""The mouse of an effect of the Segment Editor: events of slice views go in, what tools finish comes out.

The rest of the mouse stays Slicer's.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .prompts import asPoint
from .slice_preview import SlicePreview
from .tools import Tool
from .volume_access import localToWorld, worldToLocal

AXIS_COSINE = 0.999
"""A view whose normal is closer than this to an axis of the volume shows its slices across it (2.5 degrees)."""

DRAG_PIXELS = 4
"""A right button released further away than this was a drag (zoom), not a click."""

RasOf = Callable[[tuple[int, int], Any], Any]


class SliceMouseTool:
    """One tool at work on one volume, in all slice views.

    The left button is the tool's (with Ctrl it excludes); a right *click* excludes with tools that can, while a right
    drag still zooms. Shift and Alt, the wheel and the middle button keep their meaning.

    Args:
        rasOf: ((x, y) event position, view widget) → world RAS, as the effect API gives it.
        mayBegin: asked at each press; False ignores it.
        onStep: called with what the tool finished, local RAS mm of the volume.
        onProgress: called when a step was begun, went on or was forgotten.
        onRefused: called with a sentence when a press is not taken.
    """

    def __init__(
        self,
        rasOf: RasOf,
        mayBegin: Callable[[], bool],
        onStep: Callable[[Any], None],
        onProgress: Callable[[], None],
        onRefused: Callable[[str], None],
    ) -> None:
        self._rasOf, self._mayBegin = rasOf, mayBegin
        self._onStep, self._onProgress, self._onRefused = onStep, onProgress, onRefused
        self._tool: Tool | None = None
        self._volumeNode: Any = None
        self._previews: dict[str, SlicePreview] = {}
        self._isLeftDown = False
        self._rightPress: tuple[int, int] | None = None

    @property
    def tool(self) -> Tool | None:
        """The tool at work, None when there is no volume to work on."""
        return self._tool

    @property
    def _active(self) -> Tool:
        """The tool at work; asked for only while there is one."""
        assert self._tool is not None, "no tool is at work"
        return self._tool

    @property
    def isBusy(self) -> bool:
        """Whether a step was begun and not finished."""
        return self._tool is not None and self._tool.isBusy

    def start(self, tool: Tool, volumeNode: Any) -> None:
        """Put a tool to work on the volume that it was made for."""
        self.stop()
        self._tool, self._volumeNode = tool, volumeNode

    def stop(self) -> None:
        """Forget the tool and what was begun with it."""
        for preview in self._previews.values():
            preview.remove()
        self._previews = {}
        self._tool = self._volumeNode = self._rightPress = None
        self._isLeftDown = False

    def cancelStep(self) -> bool:
        """Forget the unfinished step; False when there was none."""
        if self._tool is None or not self._tool.isBusy:
            return False
        self._tool.cancel()
        for preview in self._previews.values():
            preview.show([])
        self._onProgress()
        return True

    def viewChanged(self, viewWidget: Any) -> None:
        """Draw the unfinished step where it belongs after a view was scrolled, zoomed or panned."""
        preview = self._previews.get(viewWidget.mrmlSliceNode().GetID())
        if preview is not None:
            preview.update()

    def process(self, interactor: Any, eventId: int, viewWidget: Any) -> bool:
        """Handle an event; whether it is used up."""
        if self._tool is None:
            return False
        if eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent):
            return self._leftPress(interactor, viewWidget)
        if eventId == vtk.vtkCommand.MouseMoveEvent:
            return self._move(interactor, viewWidget)
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent:
            return self._leftRelease(interactor, viewWidget)
        if eventId == vtk.vtkCommand.RightButtonPressEvent:
            self._rightPress = None if interactor.GetShiftKey() else tuple(interactor.GetEventPosition())
        elif eventId == vtk.vtkCommand.RightButtonReleaseEvent:
            self._rightRelease(interactor, viewWidget)
        return False

    def _leftPress(self, interactor: Any, viewWidget: Any) -> bool:
        if interactor.GetShiftKey() or interactor.GetAltKey():
            return False
        exclude = bool(interactor.GetControlKey())
        self._isLeftDown = True
        self._begin(interactor, viewWidget, exclude)
        return True

    def _begin(self, interactor: Any, viewWidget: Any, exclude: bool) -> None:
        local = self._local(interactor, viewWidget)
        refusal = self._refusal(local, exclude, viewWidget)
        if refusal:
            self._onRefused(refusal)
        elif self._mayBegin():
            self._active.viewAxis = self.axisOf(viewWidget)
            self._active.viewNormal = asPoint(self._normalOf(viewWidget))
            self._feed(self._active.press(local, not exclude), viewWidget)

    def _move(self, interactor: Any, viewWidget: Any) -> bool:
        if self.isBusy:
            self._feed(self._active.move(self._local(interactor, viewWidget)), viewWidget, isMove=True)
        # Not used up without a button: the data probe, the crosshair and the markers go on working.
        return self._isLeftDown

    def _leftRelease(self, interactor: Any, viewWidget: Any) -> bool:
        if not self._isLeftDown:
            return False
        self._isLeftDown = False
        if self.isBusy:
            self._feed(self._active.release(self._local(interactor, viewWidget)), viewWidget)
        return True

    def _rightRelease(self, interactor: Any, viewWidget: Any) -> None:
        pressed, self._rightPress = self._rightPress, None
        if pressed is None or self._active.noExcluding or not self._active.takesRightClick:
            return
        if np.abs(np.subtract(pressed, interactor.GetEventPosition())).max() > DRAG_PIXELS:
            return
        # The view takes a release without a move before it for a click and opens its menu. So: a zoom by nothing.
        interactor.InvokeEvent(vtk.vtkCommand.MouseMoveEvent)
        self._begin(interactor, viewWidget, exclude=True)

    def _refusal(self, local: np.ndarray, exclude: bool, viewWidget: Any) -> str:
        """Why a press there is not taken, "" when it is."""
        tool = self._active
        if not tool.geometry.contains(local):
            return _("That is outside the volume {name}.").format(name=self._volumeNode.GetName())
        if exclude and tool.noExcluding:
            return tool.noExcluding
        if tool.viewAxes and self.axisOf(viewWidget) not in tool.viewAxes:
            return tool.wrongView
        return ""

    def axisOf(self, viewWidget: Any) -> int | None:
        """The axis of the volume (0, 1, 2) across which a view's slices lie; None for a view at an angle to all."""
        cosines = np.abs(self._normalOf(viewWidget) @ self._active.geometry.directions)
        return int(cosines.argmax()) if cosines.max() > AXIS_COSINE else None

    def _normalOf(self, viewWidget: Any) -> np.ndarray:
        """(3,) unit normal of a view's plane, local RAS of the volume."""
        sliceToRas = slicer.util.arrayFromVTKMatrix(viewWidget.mrmlSliceNode().GetSliceToRAS())
        ends = worldToLocal(self._volumeNode, [sliceToRas[:3, 3], sliceToRas[:3, 3] + sliceToRas[:3, 2]])
        return np.asarray((ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0]))

    def _feed(self, step: Any, viewWidget: Any, isMove: bool = False) -> None:
        """Draw what the tool has begun, and pass on what it has finished."""
        points = self._active.preview
        key = viewWidget.mrmlSliceNode().GetID()
        if points and key not in self._previews:
            self._previews[key] = SlicePreview(viewWidget)
        for name, preview in self._previews.items():
            shown = points if name == key else ()
            world = localToWorld(self._volumeNode, shown) if shown else np.zeros((0, 3))
            preview.show(
                world,
                dots=self._active.hasDots,
                closed=self._active.isClosed,
                color=self._active.previewColor,
                width=self._active.previewWidth,
            )
        if step is not None:
            self._onStep(step)
        elif not isMove:
            self._onProgress()

    def _local(self, interactor: Any, viewWidget: Any) -> np.ndarray:
        return worldToLocal(self._volumeNode, [self._rasOf(interactor.GetEventPosition(), viewWidget)])[0]
