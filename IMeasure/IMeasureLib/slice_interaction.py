"""The mouse in the slice views while a tool is on: events in, world positions out; the view does not react itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import qt
import slicer
import vtk

# Before Slicer's own view interaction (window/level, crosshair, menus), which listens at priority 0 to 1.
PRIORITY = 2.0


@dataclass(frozen=True)
class SliceMouse:
    """One mouse event in a slice view.

    Attributes:
        kind: "press", "move", "release".
        ras: (3,) world position under the mouse, mm.
        normal: (3,) unit normal of the slice plane in world coordinates.
        exclude: right button, or left with Ctrl: what is here does not belong to the finding.
        view: name of the slice view ("Red").
    """

    kind: str
    ras: np.ndarray
    normal: np.ndarray
    exclude: bool
    view: str


class SliceInteraction(qt.QObject):
    """Hands the mouse of all slice views to one handler while it is on.

    Shift and Alt keep their meaning (pan, zoom, crosshair), as do the wheel and the middle button.

    Args:
        handler: gets each ``SliceMouse``; moves also come while no button is pressed.
        onViewChanged: called with a view's name when the view was scrolled, zoomed, panned or resized.
        isElsewhere: whether a press at a world position in a view, by name, belongs to something else there, such as a
            markup under the mouse.
    """

    def __init__(
        self,
        handler: Callable[[SliceMouse], None],
        onViewChanged: Callable[[str], None],
        isElsewhere: Callable[[np.ndarray, str], bool],
    ) -> None:
        qt.QObject.__init__(self)
        self._handler = handler
        self._onViewChanged = onViewChanged
        self._isElsewhere = isElsewhere
        self._observed: list[tuple[Any, int]] = []
        self._cursors: list[Any] = []
        self._pressed: dict[str, bool] = {}
        self._on = False

    @property
    def isOn(self) -> bool:
        """Whether the mouse is taken."""
        return self._on

    def start(self) -> None:
        """Take the mouse of every slice view of the present layout."""
        if self._on:
            return
        self._on = True
        slicer.app.layoutManager().connect("layoutChanged(int)", self._onLayoutChanged)
        self._attach()

    def stop(self) -> None:
        """Give the mouse back."""
        if not self._on:
            return
        self._on = False
        slicer.app.layoutManager().disconnect("layoutChanged(int)", self._onLayoutChanged)
        self._detach()

    def _onLayoutChanged(self, _layout: int) -> None:
        self._detach()
        self._attach()

    def _attach(self) -> None:
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames():
            widget = manager.sliceWidget(name)
            interactor = widget.sliceView().interactor()
            for event, react in (
                ("LeftButtonPressEvent", self._press),
                ("RightButtonPressEvent", self._press),
                ("LeftButtonDoubleClickEvent", self._press),
                ("RightButtonDoubleClickEvent", self._press),
                ("MouseMoveEvent", self._move),
                ("LeftButtonReleaseEvent", self._release),
                ("RightButtonReleaseEvent", self._release),
            ):
                self._observe(interactor, event, react, name)
            node = widget.mrmlSliceNode()
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_, view=name: self._onViewChanged(view))
            self._observed.append((node, tag))
            widget.sliceView().setViewCursor(qt.QCursor(qt.Qt.CrossCursor))
            self._cursors.append(widget.sliceView())

    def _observe(self, interactor: Any, event: str, react: Callable[..., bool], view: str) -> None:
        tags: list[int] = []

        def callback(caller: Any, name: str) -> None:
            if react(caller, name, view):
                caller.GetCommand(tags[0]).SetAbortFlag(1)

        tags.append(interactor.AddObserver(event, callback, PRIORITY))
        self._observed.append((interactor, tags[0]))

    def _detach(self) -> None:
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed.clear()
        for view in self._cursors:
            view.unsetViewCursor()
        self._cursors.clear()
        self._pressed.clear()

    def _press(self, interactor: Any, event: str, view: str) -> bool:
        if interactor.GetShiftKey() or interactor.GetAltKey():
            return False
        exclude = event.startswith("Right") or bool(interactor.GetControlKey())
        mouse = self._mouse("press", interactor, view, exclude)
        if self._isElsewhere(mouse.ras, view):
            return False
        self._pressed[view] = exclude
        self._handler(mouse)
        return True

    def _move(self, interactor: Any, event: str, view: str) -> bool:
        # Not consumed without a button: the data probe and the crosshair go on working.
        self._handler(self._mouse("move", interactor, view, self._pressed.get(view, False)))
        return view in self._pressed

    def _release(self, interactor: Any, event: str, view: str) -> bool:
        if view not in self._pressed:
            return False
        self._handler(self._mouse("release", interactor, view, self._pressed.pop(view)))
        return True

    def _mouse(self, kind: str, interactor: Any, view: str, exclude: bool) -> SliceMouse:
        widget = slicer.app.layoutManager().sliceWidget(view)
        sliceView = widget.sliceView()
        xyz = sliceView.convertDeviceToXYZ(list(interactor.GetEventPosition()))
        ras = np.array(sliceView.convertXYZToRAS(xyz), dtype=float)
        normal = slicer.util.arrayFromVTKMatrix(widget.mrmlSliceNode().GetSliceToRAS())[:3, 2]
        return SliceMouse(kind, ras, normal / np.linalg.norm(normal), exclude, view)
