"""What a person told a model about one segment: points, boxes, lassos and lines, in the volume's own RAS mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from IMeasureLib.geometry import VolumeGeometry, voxelOf
from IMeasureLib.prompts import Point, PromptError, asPoint

POINT, BOX, LASSO, LINE = "point", "box", "lasso", "line"
KINDS = (POINT, BOX, LASSO, LINE)
MINIMUM_POINTS = {POINT: 1, BOX: 2, LASSO: 3, LINE: 2}


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        kind: "point", "box", "lasso" or "line".
        points: of a box two opposite corners, on one slice; of a lasso its outline, of a line its course.
        positive: whether what is marked belongs to the segment.
    """

    kind: str
    points: tuple[Point, ...]
    positive: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS or len(self.points) < MINIMUM_POINTS[self.kind]:
            raise PromptError("These prompts are damaged.")

    def withPoints(self, points: Iterable[npt.ArrayLike]) -> Prompt:
        """The same kind of prompt elsewhere."""
        return replace(self, points=tuple(asPoint(point) for point in points))


Prompts = tuple[Prompt, ...]


def pointsOf(prompts: Prompts, kind: str, positive: bool) -> list[tuple[Point, ...]]:
    """The points of all prompts of one kind and sign, in order."""
    return [prompt.points for prompt in prompts if prompt.kind == kind and prompt.positive == positive]


def saysWhere(prompts: Prompts) -> bool:
    """Whether any prompt says where the segment is; negative ones alone do not."""
    return any(prompt.positive for prompt in prompts)


def slicesOf(prompts: Prompts, geometry: VolumeGeometry) -> set[int]:
    """Indices k of the volume's slices on which the prompts lie."""
    return {voxelOf(geometry.rasToIJK(point))[2] for prompt in prompts for point in prompt.points}


def onSlice(prompts: Prompts, k: int, geometry: VolumeGeometry) -> Prompts:
    """The prompts that lie on slice k of the volume alone."""
    return tuple(prompt for prompt in prompts if slicesOf((prompt,), geometry) == {k})


def boxCorners(box: Prompt, geometry: VolumeGeometry) -> tuple[Point, Point, Point, Point]:
    """The four corners of a box, one after the other around it; the first and the third are those that it stores."""
    first, third = geometry.rasToIJK(box.points[0]), geometry.rasToIJK(box.points[1])
    # Flat on one slice: along the other two axes the corners differ.
    a, _ = _planeOf(first, third)
    second, fourth = first.copy(), third.copy()
    second[a], fourth[a] = third[a], first[a]
    corners = [asPoint(geometry.ijkToRAS(corner)) for corner in (first, second, third, fourth)]
    return corners[0], corners[1], corners[2], corners[3]


def boxWithCorner(box: Prompt, index: int, position: npt.ArrayLike, geometry: VolumeGeometry) -> Prompt:
    """A box of which one corner (as ``boxCorners`` counts) was moved; it stays on its slice."""
    corners = boxCorners(box, geometry)
    opposite = geometry.rasToIJK(corners[(index + 2) % 4])
    moved = geometry.rasToIJK(position)
    flat = _flatAxis(*(geometry.rasToIJK(point) for point in box.points))
    moved[flat] = opposite[flat]
    return box.withPoints([geometry.ijkToRAS(opposite), geometry.ijkToRAS(moved)])


def _flatAxis(first: npt.NDArray[np.float64], third: npt.NDArray[np.float64]) -> int:
    return int(np.abs(third - first).argmin())


def _planeOf(first: npt.NDArray[np.float64], third: npt.NDArray[np.float64]) -> tuple[int, int]:
    flat = _flatAxis(first, third)
    a, b = (axis for axis in range(3) if axis != flat)
    return a, b


def simplified(points: list[Point], tolerance: float) -> list[Point]:
    """A line with fewer points, nowhere further than ``tolerance`` mm from what was drawn (Douglas and Peucker)."""
    if len(points) < 3:
        return points
    array = np.asarray(points, dtype=np.float64)
    keep = np.zeros(len(array), dtype=bool)
    keep[[0, -1]] = True
    parts = [(0, len(array) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        distances = _distancesToSegment(array[first + 1 : last], array[first], array[last])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            parts += [(first, middle), (middle, last)]
    return [points[index] for index in np.flatnonzero(keep)]


def _distancesToSegment(
    points: npt.NDArray[np.float64], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distance of points (n, 3) to the segment between two."""
    direction = end - start
    length2 = float(direction @ direction)
    along = np.clip((points - start) @ direction / length2, 0.0, 1.0) if length2 > 0 else np.zeros(len(points))
    return np.asarray(np.linalg.norm(points - start - along[:, None] * direction, axis=1))


def toList(prompts: Prompts) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "kind": prompt.kind,
            "positive": prompt.positive,
            "points": [[round(value, 4) for value in point] for point in prompt.points],
        }
        for prompt in prompts
    ]


def fromList(data: Any) -> Prompts:
    """Read ``toList``'s form; PromptError when it is something else."""
    try:
        return tuple(
            Prompt(str(item["kind"]), tuple(asPoint(point) for point in item["points"]), bool(item["positive"]))
            for item in data
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PromptError("These prompts are damaged.") from error
