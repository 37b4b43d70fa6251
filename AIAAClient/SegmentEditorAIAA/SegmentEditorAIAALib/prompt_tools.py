"""The mouse tools of the effects as state machines: mouse events in local RAS go in, finished prompts come out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import Point, asPoint
from IMeasureLib.tools import Tool

from .prompts import BOX, LASSO, LINE, POINT, Prompt, simplified
from .strokes import FOREGROUND, Stroke

WRONG_VIEW = (
    "Boxes and lassos lie on the volume's slices, and this view cuts across them. "
    "Turn the views with the ⚠ button beside “Source volume”."
)
TOLERANCE = 0.3
"""Voxels by which a line that was drawn may be simplified."""


class SignedTool(Tool):
    """A tool that marks what belongs to the segment, or with Ctrl what does not.

    Attributes:
        sign: False turns the two round.
    """

    def __init__(self, geometry: VolumeGeometry, sign: bool = True) -> None:
        super().__init__(geometry)
        self.sign = sign

    def onSlice(self, position: npt.ArrayLike) -> Point:
        """The position inside the volume, in the middle of its slice where the view shows one."""
        ijk = np.clip(self.geometry.rasToIJK(position), 0.0, np.asarray(self.geometry.shape) - 1.0)
        if self.viewAxis is not None:
            ijk[self.viewAxis] = np.floor(ijk[self.viewAxis] + 0.5)
        return asPoint(self.geometry.ijkToRAS(ijk))


class PointTool(SignedTool):
    """Each press is a point."""

    name = "Point"

    @property
    def hint(self) -> str:
        if self.sign:
            return "Click inside the object. Ctrl+click or right click where it is not."
        return "Click where the object is not. Ctrl+click or right click inside it."

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Any:
        return Prompt(POINT, (self.onSlice(position),), positive == self.sign)


class ExtremePointTool(SignedTool):
    """Each press is a point on the object's surface."""

    name = "Boundary point"
    noExcluding = "Boundary points lie on the object's surface: left clicks only."

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Any:
        return Prompt(POINT, (self.onSlice(position),))


class BoxTool(SignedTool):
    """A box is dragged from one corner to the opposite one, on a slice."""

    name = "Box"
    viewAxes = (0, 1, 2)
    wrongView = WRONG_VIEW
    takesRightClick = False
    hasDots = False
    isClosed = True
    minimumSize = 1.0
    """voxels along both sides; a smaller one is a click."""

    def __init__(self, geometry: VolumeGeometry, sign: bool = True) -> None:
        super().__init__(geometry, sign)
        self._first: Point | None = None
        self._current: Point | None = None
        self._positive = True

    @property
    def hint(self) -> str:
        return f"Drag a box around {'the object' if self.sign else 'what does not belong to it'}. Ctrl: the opposite."

    @property
    def preview(self) -> tuple[Point, ...]:
        if self._first is None or self._current is None:
            return ()
        first, third = self.geometry.rasToIJK([self._first, self._current])
        second, fourth = first.copy(), third.copy()
        axis = next(axis for axis in range(3) if axis != self.viewAxis)
        second[axis], fourth[axis] = third[axis], first[axis]
        return tuple(asPoint(self.geometry.ijkToRAS(corner)) for corner in (first, second, third, fourth))

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Any:
        self._first = self._current = self.onSlice(position)
        self._positive = positive == self.sign

    def move(self, position: npt.ArrayLike) -> Any:
        if self._first is not None:
            self._current = self.onSlice(position)

    def release(self, position: npt.ArrayLike) -> Any:
        """The box; None for one that is too small."""
        self.move(position)
        first, second = self._first, self._current
        self.cancel()
        if first is None or second is None:
            return None
        size = np.abs(np.subtract(*self.geometry.rasToIJK([first, second])))
        sides = [size[axis] for axis in range(3) if axis != self.viewAxis]
        return Prompt(BOX, (first, second), self._positive) if min(sides) >= self.minimumSize else None

    def cancel(self) -> None:
        self._first = self._current = None


class DrawnTool(SignedTool):
    """A line is drawn with the button held."""

    takesRightClick = False
    hasDots = False
    kind = ""
    fewest = 2

    def __init__(self, geometry: VolumeGeometry, sign: bool = True) -> None:
        super().__init__(geometry, sign)
        self._points: list[Point] = []
        self._positive = True

    @property
    def preview(self) -> tuple[Point, ...]:
        return tuple(self._points)

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Any:
        self._points = [self.onSlice(position)]
        self._positive = positive == self.sign

    def move(self, position: npt.ArrayLike) -> Any:
        point = self.onSlice(position)
        if self._points and math.dist(self._points[-1], point) >= 0.5 * self._voxel:
            self._points.append(point)

    def release(self, position: npt.ArrayLike) -> Any:
        """The line, with as few points as show its course; None for one that is too short."""
        self.move(position)
        points = simplified(self._points, TOLERANCE * self._voxel)
        self._points = []
        return self.finished(points) if len(points) >= self.fewest else None

    def finished(self, points: list[Point]) -> Any:
        return Prompt(self.kind, tuple(points), self._positive)

    def cancel(self) -> None:
        self._points = []

    @property
    def _voxel(self) -> float:
        """mm; the smallest side of a voxel."""
        return float(self.geometry.spacing.min())


class LassoTool(DrawnTool):
    """An outline, on a slice."""

    name = "Lasso"
    kind = LASSO
    fewest = 3
    viewAxes = (0, 1, 2)
    wrongView = WRONG_VIEW
    isClosed = True

    @property
    def hint(self) -> str:
        what = "the object" if self.sign else "what does not belong to it"
        return f"Draw around {what}, button held. Ctrl: the opposite."


class LineTool(DrawnTool):
    """A scribble, as a prompt for an interactive model."""

    name = "Scribble"
    kind = LINE

    @property
    def hint(self) -> str:
        return f"Draw a line {'inside' if self.sign else 'outside'} the object, button held. Ctrl: the opposite."


class BrushTool(DrawnTool):
    """A stroke of a brush. Ctrl, or another value, turns it round.

    Attributes:
        value: what a stroke leaves (``FOREGROUND``, ``BACKGROUND``, ``ERASE``); ``otherValue`` with Ctrl.
        radius: of the brush, mm.
    """

    name = "Brush"
    fewest = 1

    def __init__(self, geometry: VolumeGeometry, value: int = FOREGROUND, otherValue: int = 0, radius: float = 3.0):
        super().__init__(geometry)
        self.value, self.otherValue, self.radius = value, otherValue, radius

    def finished(self, points: list[Point]) -> Any:
        value = self.value if self._positive else self.otherValue
        return Stroke(tuple(points), value, self.radius, self.viewNormal)
