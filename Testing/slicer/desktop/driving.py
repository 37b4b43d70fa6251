"""Drive the desktop Slicer as a person would: mouse, keys, dialogs, screenshots. Used by the tests in this folder.

Positions are RAS millimetres; a slice view is named by its layout name ("Red", "Yellow", "Green").
Mouse and key events are Qt events sent to the view's own widget, so they take the whole way that a person's do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import qt
import slicer

Ras = Sequence[float]
BUTTONS = {"left": qt.Qt.LeftButton, "right": qt.Qt.RightButton, "middle": qt.Qt.MiddleButton}
OUTPUT = os.environ.get("IMEASURE_TEST_OUTPUT", os.path.join(os.getcwd(), "test-output", "slicer"))


def pump(seconds: float = 0.05) -> None:
    """Run the event loop for a while (and at least once)."""
    end = time.monotonic() + seconds
    while True:
        slicer.app.processEvents()
        if time.monotonic() >= end:
            return
        time.sleep(0.005)


def waitUntil(condition: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
    """Run the event loop until ``condition()`` is true and return its value; fail, naming ``what``, if never."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"Waited {timeout:g} s in vain for {what}."
        pump(0.02)


# ---- views


def showOneSlice(name: str = "Red") -> None:
    """Fill the view area with one slice view."""
    layouts = {
        "Red": slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView,
        "Yellow": slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView,
        "Green": slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView,
    }
    slicer.app.layoutManager().setLayout(layouts[name])
    pump(0.2)


def showFourUp() -> None:
    """Three slice views and the 3D view."""
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    pump(0.2)


def sliceWidget(name: str = "Red") -> Any:
    """The qMRMLSliceWidget of that name."""
    return slicer.app.layoutManager().sliceWidget(name)


def sliceNode(name: str = "Red") -> Any:
    """The vtkMRMLSliceNode of that view."""
    return sliceWidget(name).mrmlSliceNode()


def showVolume(volumeNode: Any, center: Ras | None = None, fieldOfView: float | None = None) -> None:
    """Show a volume in all slice views, along its own axes, centred on a RAS position, ``fieldOfView`` mm wide."""
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    for name in slicer.app.layoutManager().sliceViewNames():
        sliceNode(name).RotateToVolumePlane(volumeNode)
    if center is not None:
        jumpTo(center)
    if fieldOfView is not None:
        for name in slicer.app.layoutManager().sliceViewNames():
            node = sliceNode(name)
            width, height, depth = node.GetFieldOfView()
            node.SetFieldOfView(fieldOfView, fieldOfView * height / width, depth)
    slicer.util.forceRenderAllViews()
    pump(0.2)


def jumpTo(ras: Ras) -> None:
    """Move all slice views so that they are centred on a RAS position."""
    for name in slicer.app.layoutManager().sliceViewNames():
        sliceNode(name).JumpSliceByCentering(*[float(value) for value in ras])
    slicer.util.forceRenderAllViews()
    pump(0.05)


def rasToXy(ras: Ras, view: str = "Red") -> tuple[float, float]:
    """Where a RAS position is in a slice view: display pixels, y upwards (what VTK calls the event position)."""
    xyToRas = slicer.util.arrayFromVTKMatrix(sliceNode(view).GetXYToRAS())
    x, y = (np.linalg.inv(xyToRas) @ np.append(np.asarray(ras, dtype=float), 1.0))[:2]
    return float(x), float(y)


def xyToRas(xy: Sequence[float], view: str = "Red") -> np.ndarray:
    """The RAS position under a display pixel of a slice view."""
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode(view).GetXYToRAS())
    return (matrix @ np.array([xy[0], xy[1], 0.0, 1.0]))[:3]


# ---- mouse and keys


def _viewWidget(view: str) -> Any:
    return sliceWidget(view).sliceView().VTKWidget()


def _position(ras: Ras, view: str) -> tuple[Any, Any]:
    """Local and global Qt position of a RAS position; it must lie in the view."""
    widget = _viewWidget(view)
    x, y = rasToXy(ras, view)
    ratio = widget.devicePixelRatioF() if callable(widget.devicePixelRatioF) else widget.devicePixelRatioF
    local = qt.QPointF(x / ratio, widget.height - 1 - y / ratio)
    inside = 0 <= local.x() < widget.width and 0 <= local.y() < widget.height
    assert inside, f"{list(ras)} is not in the {view} view."
    return local, qt.QPointF(widget.mapToGlobal(qt.QPoint(int(local.x()), int(local.y()))))


def _modifiers(ctrl: bool, shift: bool, alt: bool = False) -> Any:
    modifiers = qt.Qt.NoModifier
    for pressed, modifier in (
        (ctrl, qt.Qt.ControlModifier),
        (shift, qt.Qt.ShiftModifier),
        (alt, qt.Qt.AltModifier),
    ):
        if pressed:
            modifiers = modifiers | modifier if modifiers != qt.Qt.NoModifier else modifier
    return modifiers


def _send(view: str, kind: Any, ras: Ras, button: Any, buttons: Any, modifiers: Any) -> None:
    local, screen = _position(ras, view)
    event = qt.QMouseEvent(kind, local, screen, button, buttons, modifiers)
    slicer.app.sendEvent(_viewWidget(view), event)
    pump(0.01)


def enterView(view: str = "Red") -> None:
    """Tell the view that the mouse came in, as it does before any mouse event of a person."""
    widget = _viewWidget(view)
    widget.setFocus()
    slicer.app.sendEvent(widget, qt.QEvent(qt.QEvent.Enter))


def move(ras: Ras, view: str = "Red") -> None:
    """Move the mouse there with no button pressed."""
    enterView(view)
    _send(view, qt.QEvent.MouseMove, ras, qt.Qt.NoButton, qt.Qt.NoButton, qt.Qt.NoModifier)


def click(ras: Ras, view: str = "Red", button: str = "left", ctrl: bool = False, shift: bool = False) -> None:
    """Move there, press and release (a right click where a context menu may open: ``rightClick``)."""
    drag([ras], view, button, ctrl, shift)


def drag(
    points: Sequence[Ras], view: str = "Red", button: str = "left", ctrl: bool = False, shift: bool = False
) -> None:
    """Press at the first point, move through the others, release at the last."""
    held, modifiers = BUTTONS[button], _modifiers(ctrl, shift)
    move(points[0], view)
    _send(view, qt.QEvent.MouseButtonPress, points[0], held, held, modifiers)
    for point in points[1:]:
        _send(view, qt.QEvent.MouseMove, point, qt.Qt.NoButton, held, modifiers)
    _send(view, qt.QEvent.MouseButtonRelease, points[-1], held, qt.Qt.NoButton, modifiers)
    pump(0.03)


def rightClick(ras: Ras, view: str = "Red", choose: str | None = None) -> list[str]:
    """Click with the right button; returns the texts of the context menu, if one opened.

    A context menu runs an event loop of its own: a timer takes the action named ``choose``, or closes the menu.
    """
    texts: list[str] = []
    polls = [60]

    def look() -> None:
        menu = qt.QApplication.activePopupWidget()
        polls[0] -= 1
        if menu is None:
            if polls[0] > 0:
                qt.QTimer.singleShot(10, look)
            return
        actions = [action for action in menu.actions() if action.visible and action.text]
        texts.extend(action.text.replace("&", "") for action in actions)
        chosen = [action for action in actions if action.text.replace("&", "") == choose]
        menu.close()
        if chosen:
            chosen[0].trigger()

    qt.QTimer.singleShot(10, look)
    drag([ras], view, "right")
    waitUntil(lambda: texts or polls[0] <= 0, "the context menu to open or not")
    assert choose is None or choose in texts, f"No {choose} in the context menu: {texts}."
    return texts


def circle(center: Ras, radius: float, view: str = "Red", count: int = 24) -> list[np.ndarray]:
    """Points of a closed circle in the plane of a slice view, for a pen stroke; radius in mm."""
    axes = slicer.util.arrayFromVTKMatrix(sliceNode(view).GetSliceToRAS())[:3, :2]
    angles = np.linspace(0, 2 * np.pi, count)
    return [np.asarray(center) + radius * (np.cos(a) * axes[:, 0] + np.sin(a) * axes[:, 1]) for a in angles]


def key(keyCode: Any, text: str = "", widget: Any = None, ctrl: bool = False, shift: bool = False) -> None:
    """Press and release a key in a widget (the Red view's by default); shortcuts are tried first, as Qt does."""
    target = widget if widget is not None else _viewWidget("Red")
    target.setFocus()
    modifiers = _modifiers(ctrl, shift)
    for kind in (qt.QEvent.ShortcutOverride, qt.QEvent.KeyPress, qt.QEvent.KeyRelease):
        slicer.app.sendEvent(target, qt.QKeyEvent(kind, keyCode, modifiers, text))
    pump(0.03)


def pressShortcut(sequence: str, parent: Any = None) -> None:
    """Activate the one enabled QShortcut with that key sequence (no window manager here delivers shortcuts)."""
    wanted = qt.QKeySequence(sequence).toString()
    parents = [parent] if parent is not None else [slicer.util.mainWindow(), *slicer.app.topLevelWidgets()]
    found = {}
    for owner in parents:
        for shortcut in slicer.util.findChildren(owner, className="QShortcut"):
            if shortcut.key.toString() == wanted and shortcut.enabled:
                found[id(shortcut)] = shortcut
        if found:
            break
    assert found, f"No enabled shortcut {sequence}."
    next(iter(found.values())).activated()
    pump(0.03)


# ---- dialogs and pictures


def answerNextDialog(buttonText: str, timeout: float = 10.0) -> list[str]:
    """Click a button of the next modal dialog (before calling what opens it). The list gets the dialog's text."""
    seen: list[str] = []
    end = time.monotonic() + timeout

    def look() -> None:
        dialog = qt.QApplication.activeModalWidget()
        if dialog is None:
            if time.monotonic() < end:
                qt.QTimer.singleShot(50, look)
            return
        for button in slicer.util.findChildren(dialog, className="QPushButton"):
            if button.text.replace("&", "") == buttonText:
                text = getattr(dialog, "text", "") or " ".join(
                    label.text for label in slicer.util.findChildren(dialog, className="QLabel")
                )
                seen.append(text)
                button.click()
                return
        raise AssertionError(f"The dialog has no button {buttonText}.")

    qt.QTimer.singleShot(50, look)
    return seen


def screenshot(name: str, widget: Any = None, folder: str | None = None) -> str:
    """Save a picture of the main window (or a widget) as ``test-output/slicer/NAME.png``; returns the path."""
    folder = folder or OUTPUT
    os.makedirs(folder, exist_ok=True)
    slicer.util.forceRenderAllViews()
    pump(0.3)
    path = os.path.join(folder, name + ".png")
    assert (widget or slicer.util.mainWindow()).grab().save(path), f"Could not write {path}."
    return path


def viewPixels(view: str = "Red") -> np.ndarray:
    """What a slice view shows: (height, width, 3) uint8, top row first."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    slicer.util.forceRenderAllViews()
    pump(0.1)
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(sliceWidget(view).sliceView().renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    return np.ascontiguousarray(pixels[::-1, :, :3])
