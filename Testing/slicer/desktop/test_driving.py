"""The harness itself: what it sends arrives where it says."""

from __future__ import annotations

import numpy as np
import slicer
import vtk


def test_mouse_events_arrive_at_the_ras_position(desktop, sampleVolume):
    bounds = [0.0] * 6
    sampleVolume.GetRASBounds(bounds)
    target = np.array(bounds).reshape(3, 2).mean(axis=1)
    desktop.jumpTo(target)
    seen = []
    interactor = desktop.sliceWidget("Red").sliceView().interactor()
    tags = [
        interactor.AddObserver(event, lambda caller, name: seen.append((name, caller.GetEventPosition())), 10.0)
        for event in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.RightButtonPressEvent)
    ]
    wanted = target + np.array([7.0, -4.0, 0.0])
    desktop.click(wanted)
    menu = desktop.rightClick(wanted)
    for tag in tags:
        interactor.RemoveObserver(tag)
    assert menu, "Slicer's own context menu did not open."
    assert [name for name, _ in seen] == ["LeftButtonPressEvent", "RightButtonPressEvent"]
    for _, xy in seen:
        pixel = np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))
        assert np.linalg.norm(desktop.xyToRas(xy) - wanted) <= 1.5 * pixel


def test_the_slice_view_shows_the_volume(desktop, sampleVolume):
    assert len(np.unique(desktop.viewPixels("Red"))) > 20
    assert slicer.util.mainWindow().visible
