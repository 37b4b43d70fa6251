"""What a person said about one finding: an ordered, immutable history of prompts in local RAS mm."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .geometry import rasToLPS

Point = tuple[float, float, float]

VERSION = 1
"""Of the JSON form."""


class PromptError(ValueError):
    """Prompts that cannot be used; the message is a sentence for the person who asked."""


def asPoint(position: npt.ArrayLike) -> Point:
    """Three finite numbers as a tuple; PromptError otherwise."""
    values = np.asarray(position, dtype=np.float64).ravel()
    if values.shape != (3,) or not np.isfinite(values).all():
        raise PromptError("A prompt's position must be three finite numbers (R, A, S in mm).")
    return float(values[0]), float(values[1]), float(values[2])


@dataclass(frozen=True)
class TwoClick:
    """The two ends of the finding's longest diameter, roughly."""

    first: Point
    second: Point

    @property
    def points(self) -> tuple[Point, ...]:
        return self.first, self.second


@dataclass(frozen=True)
class Click:
    """One click: the finding is here (positive) or is not (negative)."""

    position: Point
    positive: bool = True

    @property
    def points(self) -> tuple[Point, ...]:
        return (self.position,)


@dataclass(frozen=True)
class PenStroke:
    """A contour on one slice, at least three points; it closes itself."""

    points: tuple[Point, ...]


Step = Union[TwoClick, Click, PenStroke]


def withPoints(step: Step, points: Iterable[Point]) -> Step:
    """The same kind of step with other points."""
    moved = tuple(points)
    if isinstance(step, TwoClick):
        return TwoClick(*moved)
    if isinstance(step, Click):
        return Click(moved[0], step.positive)
    return PenStroke(moved)


@dataclass(frozen=True)
class PromptHistory:
    """All prompts of one finding, oldest first. Changes give a new history; the old one stays as it was.

    Attributes:
        steps: ``TwoClick``, ``Click`` and ``PenStroke`` in the order in which they were made.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def of(
        cls,
        positive: Iterable[npt.ArrayLike] = (),
        negative: Iterable[npt.ArrayLike] = (),
        pen: Iterable[Iterable[npt.ArrayLike]] = (),
        twoClick: Iterable[npt.ArrayLike] | None = None,
    ) -> PromptHistory:
        """Make a history from bare positions: the two clicks first, then positive, negative, and pen strokes.

        Raises:
            PromptError: a position is not three numbers, ``twoClick`` is not two points, a stroke has less than three.
        """
        steps: list[Step] = []
        if twoClick is not None:
            ends = [asPoint(point) for point in twoClick]
            if len(ends) != 2:
                raise PromptError("TwoClick needs exactly two points.")
            steps.append(TwoClick(ends[0], ends[1]))
        steps += [Click(asPoint(point), True) for point in positive]
        steps += [Click(asPoint(point), False) for point in negative]
        for stroke in pen:
            points = tuple(asPoint(point) for point in stroke)
            if len(points) < 3:
                raise PromptError("A pen stroke needs at least three points.")
            steps.append(PenStroke(points))
        return cls(tuple(steps))

    @property
    def isEmpty(self) -> bool:
        """True when nothing says where the finding is (negative clicks alone do not)."""
        return not any(not isinstance(step, Click) or step.positive for step in self.steps)

    @property
    def points(self) -> tuple[Point, ...]:
        """All points of all steps, local RAS mm."""
        return tuple(point for step in self.steps for point in step.points)

    def appended(self, *steps: Step) -> PromptHistory:
        """This history and newer steps."""
        return PromptHistory(self.steps + steps)

    def moved(self, step: int, point: int, position: npt.ArrayLike) -> PromptHistory:
        """With point ``point`` of step ``step`` elsewhere (local RAS mm); IndexError when there is no such point."""
        points = list(self.steps[step].points)
        points[point] = asPoint(position)
        return self.replaced(step, withPoints(self.steps[step], points))

    def replaced(self, step: int, new: Step) -> PromptHistory:
        """With another step in its place; IndexError when there is no such step."""
        steps = list(self.steps)
        steps[step] = new
        return PromptHistory(tuple(steps))

    def removed(self, step: int) -> PromptHistory:
        """Without one step; IndexError when there is no such step."""
        steps = list(self.steps)
        del steps[step]
        return PromptHistory(tuple(steps))

    def clicks(self) -> list[dict[str, Any]]:
        """The contract's ``clicks``: groups ``{"mode", "points"}`` in LPS mm, one per click and per pair."""
        groups = []
        for step in self.steps:
            if isinstance(step, PenStroke):
                continue
            positive = not isinstance(step, Click) or step.positive
            groups.append({"mode": "positive" if positive else "negative", "points": rasToLPS(step.points).tolist()})
        return groups

    def magicPenPoints(self) -> list[list[list[float]]]:
        """The contract's ``magic_pen_points``: strokes of points in LPS mm."""
        return [rasToLPS(step.points).tolist() for step in self.steps if isinstance(step, PenStroke)]

    def toDict(self) -> dict[str, Any]:
        """For JSON: ``{"version", "space": "RAS", "steps": [{"type": "twoClick" | "click" | "pen", ...}]}``."""
        return {"version": VERSION, "space": "RAS", "steps": [_stepToDict(step) for step in self.steps]}

    def toJSON(self) -> str:
        return json.dumps(self.toDict())

    @classmethod
    def fromDict(cls, data: dict[str, Any]) -> PromptHistory:
        """Read ``toDict``'s form; PromptError when it is something else or of a newer version."""
        if not isinstance(data, dict) or data.get("space") != "RAS" or not isinstance(data.get("steps"), list):
            raise PromptError("These are not prompts of IMeasure.")
        if int(data.get("version", 0)) > VERSION:
            raise PromptError("These prompts were written by a newer IMeasure. Update the extension to read them.")
        try:
            return cls(tuple(_stepFromDict(step) for step in data["steps"]))
        except (KeyError, TypeError, IndexError) as error:
            raise PromptError("These prompts are damaged.") from error

    @classmethod
    def fromJSON(cls, text: str) -> PromptHistory:
        try:
            data = json.loads(text)
        except ValueError as error:
            raise PromptError("These prompts are damaged.") from error
        return cls.fromDict(data)


def _stepToDict(step: Step) -> dict[str, Any]:
    if isinstance(step, TwoClick):
        return {"type": "twoClick", "first": list(step.first), "second": list(step.second)}
    if isinstance(step, Click):
        return {"type": "click", "position": list(step.position), "positive": step.positive}
    return {"type": "pen", "points": [list(point) for point in step.points]}


def _stepFromDict(data: dict[str, Any]) -> Step:
    kind = data["type"]
    if kind == "twoClick":
        return TwoClick(asPoint(data["first"]), asPoint(data["second"]))
    if kind == "click":
        return Click(asPoint(data["position"]), bool(data["positive"]))
    if kind == "pen" and len(data["points"]) >= 3:
        return PenStroke(tuple(asPoint(point) for point in data["points"]))
    raise PromptError("These prompts are damaged.")
