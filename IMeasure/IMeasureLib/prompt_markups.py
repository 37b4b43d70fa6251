"""Prompts as markups in the views: drag one to move it, delete one with the Delete key or its context menu.

The nodes are a picture of a ``PromptHistory`` and not kept: the history itself lives in the segment's tag, so the nodes
are left out of saved scenes and made anew when they are shown again.
"""

from __future__ import annotations

from typing import Any, Callable

from .geometry import VolumeGeometry
from .markup_drawing import Drawing, DrawnPoint, MarkupDrawing, isNear
from .prompts import Click, PenStroke, PromptError, PromptHistory, Step, TwoClick, withPoints
from .volume_access import geometryOf

ATTRIBUTE = "IMeasure.Prompts"
"""Node attribute that tells these nodes from a person's own markups."""

POSITIVE_COLOR = (0.25, 0.9, 0.35)
NEGATIVE_COLOR = (1.0, 0.3, 0.25)
INCLUDE, EXCLUDE, PEN = "include", "exclude", "stroke "
"""Keys of the nodes; each stroke has its own."""


class PromptMarkups:
    """Shows the prompts of one finding.

    Args:
        onEdited: called with the new history when a person has moved or deleted a prompt. The nodes still show it as
            they left it; ``show`` draws whatever comes of it. It is called from within Slicer's own event handling.
    """

    def __init__(self, onEdited: Callable[[PromptHistory], None]) -> None:
        self._onEdited = onEdited
        self._history = PromptHistory()
        self._geometry: VolumeGeometry | None = None
        self._drawing = MarkupDrawing(ATTRIBUTE, "IMeasure", self._edited)

    @property
    def history(self) -> PromptHistory:
        """What is shown."""
        return self._history

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The markups nodes that show it."""
        return self._drawing.nodes

    @property
    def isHovered(self) -> bool:
        """Whether the mouse is over a prompt, so that a press belongs to it."""
        return self._drawing.isHovered

    def show(self, history: PromptHistory, volumeNode: Any) -> None:
        """Show these prompts in the space of a volume (its parent transform included), instead of what was shown."""
        self._history = history
        self._geometry = geometryOf(volumeNode)
        self._drawing.show(_drawings(history), volumeNode)

    def setVisible(self, visible: bool) -> None:
        """Show or hide the prompts, now and later."""
        self._drawing.setVisible(visible)

    def clear(self) -> None:
        """Take the prompts out of the views."""
        self._drawing.clear()
        self._history, self._geometry = PromptHistory(), None

    def _edited(self) -> None:
        history = self._read()
        if history != self._history:
            self._onEdited(history)

    def _read(self) -> PromptHistory:
        """The history as the nodes show it now."""
        left: dict[int, dict[int, Any]] = {}
        for name, position in self._drawing.positions().items():
            at, point = (int(part) for part in name.split("."))
            left.setdefault(at, {})[point] = position
        steps = []
        for index, step in enumerate(self._history.steps):
            points = [position for _, position in sorted(left.get(index, {}).items())]
            steps.append(self._remade(step, points))
        return PromptHistory(tuple(step for step in steps if step is not None))

    def _remade(self, step: Step, points: list[Any]) -> Step | None:
        """A step with its points as they are now; None when too few are left."""
        if isinstance(step, PenStroke):
            return withPoints(step, self._onSlice(step, points)) if len(points) >= 3 else None
        if len(points) < len(step.points):
            return None
        # A position that nobody moved stays the same number, whatever the way through the node does to its last digit.
        kept = [old if isNear(old, new) else new for old, new in zip(step.points, points)]
        return withPoints(step, kept)

    def _onSlice(self, stroke: PenStroke, points: list[Any]) -> list[Any]:
        """Points of a stroke back on its slice: one dragged in another view must not leave it."""
        if self._geometry is None:
            raise PromptError("No prompts are shown.")
        ijk = self._geometry.rasToIJK(points)
        ijk[:, 2] = self._geometry.rasToIJK(stroke.points)[:, 2].mean()
        moved = [tuple(float(value) for value in row) for row in self._geometry.ijkToRAS(ijk)]
        return (
            [old if isNear(old, new) else new for old, new in zip(stroke.points, moved)]
            if len(moved) == len(stroke.points)
            else moved
        )


def _drawings(history: PromptHistory) -> dict[str, Drawing]:
    """Key of each node that is needed → what it shows."""
    points: dict[str, list[DrawnPoint]] = {}
    for index, step in enumerate(history.steps):
        key = f"{PEN}{index}" if isinstance(step, PenStroke) else INCLUDE if _isPositive(step) else EXCLUDE
        for point, position in enumerate(step.points):
            points.setdefault(key, []).append((f"{index}.{point}", position))
    return {key: _drawing(key, tuple(drawn)) for key, drawn in points.items()}


def _drawing(key: str, points: tuple[DrawnPoint, ...]) -> Drawing:
    if key.startswith(PEN):
        return Drawing(points, POSITIVE_COLOR, isCurve=True)
    # Told apart by their form, too.
    if key == EXCLUDE:
        return Drawing(points, NEGATIVE_COLOR, glyph="ThickCross2D")
    return Drawing(points, POSITIVE_COLOR, glyph="Sphere3D")


def _isPositive(step: Step) -> bool:
    return isinstance(step, TwoClick) or (isinstance(step, Click) and step.positive)
