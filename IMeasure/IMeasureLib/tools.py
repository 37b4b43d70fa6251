"""The three tools as state machines: mouse events in local RAS go in, finished prompt steps come out.

A tool knows neither views nor nodes. ``press``, ``move`` and ``release`` answer the finished step or None;
``cancel`` forgets what was begun; ``preview`` is what to draw meanwhile.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .geometry import VolumeGeometry
from .prompts import Click, PenStroke, Point, Step, TwoClick, asPoint


class Tool:
    """Base of the tools.

    Attributes:
        name: as in the contract: "TwoClick", "TrueClick", "MagicPen".
        hint: one sentence about what to do next.
        noExcluding: why the tool cannot exclude, in a sentence; "" when it can.
        takesRightClick: whether a right click excludes, for tools that a click finishes.
        viewAxes: axes of the volume (0, 1, 2 for i, j, k) across whose slices it draws; () for any view.
        wrongView: what to tell in another view.
        viewAxis: axis across which the view of the present step lies; None for one at an angle.
        viewNormal: unit normal of that view, local RAS.
        hasDots, isClosed: how the unfinished step is drawn: dots at its points; a line back to the first.
        previewColor: red, green, blue in 0 to 1 of that drawing; None for the usual one.
        previewWidth: of its line, mm; 0 for a thin one.
    """

    name = ""
    noExcluding = ""
    takesRightClick = True
    viewAxes: tuple[int, ...] = ()
    wrongView = ""
    viewAxis: int | None = None
    viewNormal: Point = (0.0, 0.0, 1.0)
    hasDots = True
    isClosed = False
    previewColor: tuple[float, float, float] | None = None
    previewWidth = 0.0

    def __init__(self, geometry: VolumeGeometry) -> None:
        """Work on one volume; clicks outside its grid are not taken."""
        self.geometry = geometry

    @property
    def hint(self) -> str:
        return ""

    @property
    def preview(self) -> tuple[Point, ...]:
        """Points of the unfinished step, local RAS mm."""
        return ()

    @property
    def isBusy(self) -> bool:
        """Whether a step was begun and not finished."""
        return bool(self.preview)

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Any:
        return None

    def move(self, position: npt.ArrayLike) -> Any:
        return None

    def release(self, position: npt.ArrayLike) -> Any:
        return None

    def cancel(self) -> None:
        """Forget the unfinished step."""


class TrueClickTool(Tool):
    """Each press is a click: it adds (positive) or excludes."""

    name = "TrueClick"

    @property
    def hint(self) -> str:
        return "Click inside the lesion. Right click or Ctrl+click where it is not."

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Step | None:
        if not self.geometry.contains(position):
            return None
        return Click(asPoint(position), positive)


class TwoClickTool(Tool):
    """Two clicks on the ends of the longest diameter; a drag from one end to the other does the same."""

    name = "TwoClick"
    noExcluding = "TwoClick does not exclude: use TrueClick for that."
    minimumDistance = 1.0
    """mm; a shorter pair is a double click, not a diameter."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        super().__init__(geometry)
        self._first: Point | None = None
        self._current: Point | None = None

    @property
    def hint(self) -> str:
        if self._first is None:
            return "Click one end of the lesion's longest diameter."
        return "Click the other end. Esc starts again."

    @property
    def preview(self) -> tuple[Point, ...]:
        if self._first is None:
            return ()
        return (self._first, self._current or self._first)

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Step | None:
        if not positive or not self.geometry.contains(position):
            return None
        if self._first is None:
            self._first = asPoint(position)
            return None
        return self._finish(position)

    def move(self, position: npt.ArrayLike) -> Step | None:
        if self._first is not None:
            self._current = asPoint(position)
        return None

    def release(self, position: npt.ArrayLike) -> Step | None:
        """The end of a drag; a release where the first press was leaves the second click to be made."""
        if self._first is None or not self.geometry.contains(position):
            return None
        return self._finish(position)

    def cancel(self) -> None:
        self._first = self._current = None

    def _finish(self, position: npt.ArrayLike) -> Step | None:
        second = asPoint(position)
        if self._first is None or math.dist(self._first, second) < self.minimumDistance:
            return None
        step = TwoClick(self._first, second)
        self.cancel()
        return step


class MagicPenTool(Tool):
    """A stroke drawn with the button held, all on the slice where it began."""

    name = "MagicPen"
    noExcluding = "MagicPen does not exclude: use TrueClick for that."
    viewAxes = (2,)
    wrongView = "MagicPen draws on the volume's own slices: use the axial view (Red, as a rule)."
    hasDots = False
    minimumArea = 0.1
    """voxels; a stroke that encloses less is a line, as one drawn in a view across the slices is."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        super().__init__(geometry)
        self._points: list[Point] = []
        self._slice = 0.0

    @property
    def hint(self) -> str:
        return "Draw around the lesion with the button held, on an axial slice of the volume. Esc forgets the stroke."

    @property
    def preview(self) -> tuple[Point, ...]:
        return tuple(self._points)

    @property
    def minimumSpacing(self) -> float:
        """mm between two points that are kept: half the smaller in-plane voxel size."""
        return float(self.geometry.spacing[:2].min()) / 2.0

    def press(self, position: npt.ArrayLike, positive: bool = True) -> Step | None:
        if not positive or not self.geometry.contains(position):
            return None
        self._slice = float(self.geometry.sliceOf(position))
        self._points = [self._onSlice(position)]
        return None

    def move(self, position: npt.ArrayLike) -> Step | None:
        if not self._points:
            return None
        point = self._onSlice(position)
        if math.dist(self._points[-1], point) >= self.minimumSpacing:
            self._points.append(point)
        return None

    def release(self, position: npt.ArrayLike) -> Step | None:
        """End the stroke; one that has less than three points or encloses nothing is forgotten."""
        self.move(position)
        points, self._points = self._points, []
        if len(points) < 3 or self._area(points) < self.minimumArea:
            return None
        return PenStroke(tuple(points))

    def cancel(self) -> None:
        self._points = []

    def _onSlice(self, position: npt.ArrayLike) -> Point:
        """The position moved into the volume's grid, onto the centre plane of the stroke's slice."""
        ijk = self.geometry.rasToIJK(position)
        ijk = np.clip(ijk, 0.0, np.asarray(self.geometry.shape) - 1.0)
        ijk[2] = self._slice
        return asPoint(self.geometry.ijkToRAS(ijk))

    def _area(self, points: list[Point]) -> float:
        """Of the closed contour, in voxels (shoelace formula)."""
        x, y = self.geometry.rasToIJK(points)[:, :2].T
        return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2.0


TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (TwoClickTool, TrueClickTool, MagicPenTool)}
"""Name → class of each tool, in the order of the tool bar."""
