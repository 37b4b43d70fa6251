"""Prompts as markups in the views, and what a person made of them by dragging and deleting."""

from __future__ import annotations

from typing import Any, Callable

from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.markup_drawing import Drawing, DrawnPoint, MarkupDrawing, isNear
from IMeasureLib.prompt_markups import NEGATIVE_COLOR, POSITIVE_COLOR
from IMeasureLib.prompts import Point
from IMeasureLib.volume_access import geometryOf

from .prompts import BOX, LASSO, LINE, MINIMUM_POINTS, POINT, Prompt, Prompts, boxCorners, boxWithCorner

ATTRIBUTE = "AIAAClient.Prompts"
"""Node attribute that tells these nodes from a person's own markups."""


class PromptDrawing:
    """Shows prompts.

    Args:
        onEdited: called with the prompts as a person left them, from within Slicer's own event handling.
        isProjected: points of other slices are shown, too, pale.
    """

    def __init__(self, onEdited: Callable[[Prompts], None], isProjected: bool = False) -> None:
        self._onEdited, self._isProjected = onEdited, isProjected
        self._prompts: Prompts = ()
        self._geometry: VolumeGeometry | None = None
        self._drawing = MarkupDrawing(ATTRIBUTE, "AIAA", self._edited)

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The markups nodes that show them."""
        return self._drawing.nodes

    @property
    def isHovered(self) -> bool:
        """Whether the mouse is over a prompt, so that a press belongs to it."""
        return self._drawing.isHovered

    def show(self, prompts: Prompts, volumeNode: Any) -> None:
        """Show these in the space of a volume, instead of what was shown."""
        self._prompts, self._geometry = prompts, geometryOf(volumeNode)
        self._drawing.show(drawings(prompts, self._geometry, self._isProjected), volumeNode)

    def setVisible(self, visible: bool) -> None:
        """Show or hide the prompts, now and later."""
        self._drawing.setVisible(visible)

    def clear(self) -> None:
        """Take the prompts out of the views."""
        self._drawing.clear()
        self._prompts, self._geometry = (), None

    def _edited(self) -> None:
        if self._geometry is None:
            return
        edited = promptsFrom(self._drawing.positions(), self._prompts, self._geometry)
        if edited != self._prompts:
            self._onEdited(edited)


def drawings(prompts: Prompts, geometry: VolumeGeometry, isProjected: bool = False) -> dict[str, Drawing]:
    """Key of each node that is needed → what it shows. Points of a sign share a node; what has lines has its own."""
    points: dict[bool, list[DrawnPoint]] = {}
    found: dict[str, Drawing] = {}
    for index, prompt in enumerate(prompts):
        color = POSITIVE_COLOR if prompt.positive else NEGATIVE_COLOR
        if prompt.kind == POINT:
            points.setdefault(prompt.positive, []).append((f"{index}.0", prompt.points[0]))
            continue
        corners = boxCorners(prompt, geometry) if prompt.kind == BOX else prompt.points
        drawn = tuple((f"{index}.{number}", point) for number, point in enumerate(corners))
        key = f"{prompt.kind} {index} {'+' if prompt.positive else '−'}"
        found[key] = Drawing(drawn, color, isCurve=True, isClosed=prompt.kind != LINE)
    for positive, drawnPoints in points.items():
        # Told apart by their form, too.
        glyph = "Sphere3D" if positive else "ThickCross2D"
        color = POSITIVE_COLOR if positive else NEGATIVE_COLOR
        found["points +" if positive else "points −"] = Drawing(
            tuple(drawnPoints), color, glyph=glyph, isProjected=isProjected
        )
    return found


def promptsFrom(positions: dict[str, Point], before: Prompts, geometry: VolumeGeometry) -> Prompts:
    """The prompts, given where their points are now; one that lost a point that it needs is gone."""
    left: dict[int, dict[int, Point]] = {}
    for name, position in positions.items():
        index, number = (int(part) for part in name.split("."))
        left.setdefault(index, {})[number] = position
    remade = [_remade(prompt, left.get(index, {}), geometry) for index, prompt in enumerate(before)]
    return tuple(prompt for prompt in remade if prompt is not None)


def _remade(prompt: Prompt, points: dict[int, Point], geometry: VolumeGeometry) -> Prompt | None:
    if prompt.kind == BOX:
        return _remadeBox(prompt, points, geometry)
    if len(points) < MINIMUM_POINTS[prompt.kind]:
        return None
    # A position that nobody moved stays the same number, whatever the way through the node does to its last digit.
    kept = [
        prompt.points[number] if isNear(prompt.points[number], point) else point
        for number, point in sorted(points.items())
    ]
    if prompt.kind == LASSO:
        kept = [_onPlane(prompt, point, geometry) for point in kept]
    return prompt.withPoints(kept)


def _remadeBox(box: Prompt, points: dict[int, Point], geometry: VolumeGeometry) -> Prompt | None:
    corners = boxCorners(box, geometry)
    if len(points) < len(corners):
        return None
    for number, corner in enumerate(corners):
        if not isNear(points[number], corner):
            return boxWithCorner(box, number, points[number], geometry)
    return box


def _onPlane(prompt: Prompt, point: Point, geometry: VolumeGeometry) -> Point:
    """A point of a lasso back on its slice: one dragged in another view must not leave it."""
    ijk = geometry.rasToIJK(prompt.points)
    flat = int((ijk.max(axis=0) - ijk.min(axis=0)).argmin())
    moved = geometry.rasToIJK(point)
    if abs(moved[flat] - ijk[0, flat]) < 1e-6:
        return point
    moved[flat] = ijk[0, flat]
    r, a, s = (float(value) for value in geometry.ijkToRAS(moved))
    return r, a, s
