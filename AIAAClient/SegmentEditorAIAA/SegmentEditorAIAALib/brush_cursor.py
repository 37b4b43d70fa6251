"""The outline of the brush under the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from IMeasureLib.slice_preview import SlicePreview

CORNERS = 32
COLOR = (1.0, 1.0, 1.0)


class BrushCursor:
    """A circle in the slice view that has the mouse."""

    def __init__(self) -> None:
        self._previews: dict[str, SlicePreview] = {}

    def show(self, interactor: Any, viewWidget: Any, radius: float) -> None:
        """Draw it where the mouse is, ``radius`` in mm."""
        node = viewWidget.mrmlSliceNode()
        xyToRas = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS())
        x, y = interactor.GetEventPosition()
        center = (xyToRas @ np.array([x, y, 0.0, 1.0]))[:3]
        axes = [axis / np.linalg.norm(axis) for axis in (xyToRas[:3, 0], xyToRas[:3, 1])]
        angles = np.linspace(0.0, 2.0 * np.pi, CORNERS, endpoint=False)
        points = center + radius * (np.outer(np.cos(angles), axes[0]) + np.outer(np.sin(angles), axes[1]))
        key = node.GetID()
        if key not in self._previews:
            self._previews[key] = SlicePreview(viewWidget)
        for other, preview in self._previews.items():
            preview.show(points if other == key else np.zeros((0, 3)), closed=True, color=COLOR)

    def hide(self) -> None:
        """Take it out of the views."""
        for preview in self._previews.values():
            preview.remove()
        self._previews = {}
