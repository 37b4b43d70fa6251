"""Scribbles: strokes of a brush in slice views, and the voxels that they cover."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import Point, PromptError, asPoint
from IMeasureLib.segment_edit import EMPTY

ERASE, BACKGROUND, FOREGROUND = 0, 2, 3
"""What a stroke leaves in the voxels that it covers; 2 and 3 are what MONAI Label's scribble models expect."""

VALUES = (ERASE, BACKGROUND, FOREGROUND)


@dataclass(frozen=True)
class Stroke:
    """One stroke of the brush: all voxels near its course, in the slice where it was drawn.

    Attributes:
        points: the course, local RAS mm.
        value: ``FOREGROUND``, ``BACKGROUND`` or ``ERASE``.
        radius: of the brush, mm.
        normal: unit normal of the slice, local RAS.
    """

    points: tuple[Point, ...]
    value: int
    radius: float
    normal: Point

    def __post_init__(self) -> None:
        if not self.points or self.value not in VALUES or not self.radius > 0:
            raise PromptError("These scribbles are damaged.")


Strokes = tuple[Stroke, ...]


class StrokeCanvas:
    """What strokes leave on a volume, later ones over earlier ones. A further stroke costs no more than itself."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        self._geometry = geometry
        self._forget()

    def _forget(self) -> None:
        self._strokes: Strokes = ()
        self._canvas: npt.NDArray[np.uint8] | None = None
        self._box: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
        self._covered = {FOREGROUND: EMPTY, BACKGROUND: EMPTY}

    def covered(self, strokes: Strokes) -> dict[int, MaskRegion]:
        """``FOREGROUND`` and ``BACKGROUND`` → voxels."""
        if strokes == self._strokes:
            return self._covered
        if strokes[: len(self._strokes)] != self._strokes:
            self._forget()
        for stroke in strokes[len(self._strokes) :]:
            self._add(stroke)
        self._strokes = strokes
        if self._canvas is not None and self._box is not None:
            (i, j, k), upper = self._box[0], self._box[1]
            part = self._canvas[k : upper[2], j : upper[1], i : upper[0]]
            origin = (int(i), int(j), int(k))
            self._covered = {value: _tight(part == value, origin) for value in (FOREGROUND, BACKGROUND)}
        return self._covered

    def _add(self, stroke: Stroke) -> None:
        lower, upper = _box(np.asarray(stroke.points), stroke.radius, self._geometry)
        if (upper <= lower).any():
            return
        if self._canvas is None:
            # Of the whole volume; memory that no stroke touches is not taken.
            self._canvas = np.zeros(self._geometry.shape[::-1], dtype=np.uint8)
        before = self._box
        self._box = (lower, upper) if before is None else (np.minimum(before[0], lower), np.maximum(before[1], upper))
        _paint(self._canvas, stroke, self._geometry)


def coveredVoxels(strokes: Iterable[Stroke], geometry: VolumeGeometry) -> dict[int, MaskRegion]:
    """What strokes leave on a volume: ``FOREGROUND`` and ``BACKGROUND`` → voxels."""
    return StrokeCanvas(geometry).covered(tuple(strokes))


def _tight(mask: npt.NDArray[np.bool_], origin: tuple[int, int, int]) -> MaskRegion:
    region = MaskRegion.of(mask)
    i, j, k = (a + b for a, b in zip(region.origin, origin))
    return MaskRegion(region.array, (i, j, k))


def _box(
    points: npt.NDArray[np.float64], radius: float, geometry: VolumeGeometry
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Voxels (i, j, k) that a stroke may reach: first, and one behind the last; inside the volume."""
    ijk = geometry.rasToIJK(points).reshape(-1, 3)
    reach = radius / geometry.spacing + 1.0
    shape = np.asarray(geometry.shape)
    lower = np.clip(np.floor(ijk.min(axis=0) - reach), 0, shape).astype(np.int64)
    upper = np.clip(np.ceil(ijk.max(axis=0) + reach) + 1, 0, shape).astype(np.int64)
    return lower, upper


def _paint(canvas: npt.NDArray[np.uint8], stroke: Stroke, geometry: VolumeGeometry) -> None:
    """Put a stroke into the (k, j, i) canvas of the volume, piece after piece: pieces are small."""
    points = np.asarray(stroke.points, dtype=np.float64)
    pieces = np.stack([points[:-1], points[1:]], axis=1) if len(points) > 1 else np.stack([points, points], axis=1)
    normal = np.asarray(stroke.normal, dtype=np.float64)
    # Half the thickness of the volume's slices, as one sees them in the direction of the normal.
    thickness = 0.5 * float(np.abs(normal @ geometry.directions) @ geometry.spacing) * (1.0 + 1e-6)
    for start, end in pieces:
        lower, upper = _box(np.stack([start, end]), stroke.radius, geometry)
        if (upper <= lower).any():
            continue
        covered = _near(start, end, lower, upper, stroke.radius, normal, thickness, geometry)
        i, j, k = lower
        part = canvas[k : k + covered.shape[0], j : j + covered.shape[1], i : i + covered.shape[2]]
        part[covered] = stroke.value
    # However small the brush, the voxels under it are marked.
    for i, j, k in np.floor(geometry.rasToIJK(points) + 0.5).astype(np.int64).reshape(-1, 3):
        if 0 <= k < canvas.shape[0] and 0 <= j < canvas.shape[1] and 0 <= i < canvas.shape[2]:
            canvas[k, j, i] = stroke.value


def _near(
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
    lower: npt.NDArray[np.int64],
    upper: npt.NDArray[np.int64],
    radius: float,
    normal: npt.NDArray[np.float64],
    thickness: float,
    geometry: VolumeGeometry,
) -> npt.NDArray[np.bool_]:
    """(k, j, i) bool of a box of voxels: those within the radius of a piece, in its slice."""
    k, j, i = (np.arange(lower[axis], upper[axis]) for axis in (2, 1, 0))
    grid = np.stack(np.meshgrid(k, j, i, indexing="ij")[::-1], axis=-1).astype(np.float64)
    offset = geometry.ijkToRAS(grid) - start
    height = offset @ normal
    # In the plane of the slice: a voxel's centre may lie a little above or below it.
    flat = offset - height[..., None] * normal
    direction = end - start
    direction = direction - (direction @ normal) * normal
    length2 = float(direction @ direction)
    along = np.clip(flat @ direction / length2, 0.0, 1.0) if length2 > 0 else np.zeros(flat.shape[:-1])
    distance2 = ((flat - along[..., None] * direction) ** 2).sum(axis=-1)
    return np.asarray((distance2 <= radius**2) & (np.abs(height) <= thickness))


def toList(strokes: Strokes) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "value": stroke.value,
            "radius": round(stroke.radius, 4),
            "normal": [round(value, 6) for value in stroke.normal],
            "points": [[round(value, 3) for value in point] for point in stroke.points],
        }
        for stroke in strokes
    ]


def fromList(data: Any) -> Strokes:
    """Read ``toList``'s form; PromptError when it is something else."""
    try:
        return tuple(
            Stroke(
                tuple(asPoint(point) for point in item["points"]),
                int(item["value"]),
                float(item["radius"]),
                asPoint(item["normal"]),
            )
            for item in data
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PromptError("These scribbles are damaged.") from error
