"""Frames of a DICOM series in the order of their positions, and the grid that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imeasure_server.imaging.dicom_frames import Frame
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.volume import FloatArray, Geometry

OFF_GRID = 0.1
"""How far a slice may lie from where even spacing would put it, as a part of the spacing: rounded and jittered
positions are taken, a slice that is missing is not."""

SAME_PLACE_MM = 1e-3
SHEAR = 2e-3
"""Sine of the largest angle between the slice normal and the line through the slices' first pixels: some header values
are rounded to a few digits; a gantry tilt worth mentioning is ten times that."""

PARALLEL = 1e-3
"""Largest difference between the direction cosines of slices of one stack."""

_SHEARED = (
    "The slices of the series are shifted against each other (a tilted gantry, or a sheared grid). "
    "Resample it to a regular grid first."
)


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames in the order of their positions along the slice normal, and where they lie."""

    frames: tuple[Frame, ...]
    geometry: Geometry
    flipped: bool


def parallel_stacks(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one series, grouped into those of the same size and orientation; each multi-frame image by itself."""
    stacks: list[list[Frame]] = []
    for frame in frames:
        for stack in stacks:
            if _belongs(frame, stack[0]):
                stack.append(frame)
                break
        else:
            stacks.append([frame])
    return stacks


def _belongs(frame: Frame, other: Frame) -> bool:
    if frame.file is not other.file and (frame.file.frames > 1 or other.file.frames > 1):
        return False
    if _size(frame) != _size(other) or any(
        abs(ours - theirs) > PARALLEL * theirs for ours, theirs in zip(frame.spacing, other.spacing, strict=True)
    ):
        return False
    if frame.axes is None or other.axes is None or frame.position is None or other.position is None:
        return (frame.axes is None or frame.position is None) == (other.axes is None or other.position is None)
    return bool(np.abs(frame.axes - other.axes).max() <= PARALLEL)


def stack_up(frames: Sequence[Frame]) -> Stack:
    """Sort the frames of one stack by position along row × column and make their grid.

    Raises:
        ImageError: several images at one place, slices missing or unevenly spaced, a sheared grid, or positions and
            directions that make no sense.
    """
    first = frames[0]
    rows, columns = _size(first)
    if first.position is None or first.axes is None:
        return _without_positions(frames)
    directions = _directions(first.axes)
    normal = directions[:, 2]
    positions = np.array([frame.position for frame in frames])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    ordered = [frames[index] for index in order]
    if len(frames) == 1:
        spacing = first.thickness or 1.0
    else:
        spacing = _even_spacing(along[order])
        _check_shear(positions[order], normal)
    geometry = _geometry(positions[order[0]], (*first.spacing, spacing), directions, (columns, rows, len(frames)))
    return Stack(tuple(ordered), geometry, _is_flipped(ordered))


def _size(frame: Frame) -> tuple[int, int]:
    return int(frame.file.dataset.Rows), int(frame.file.dataset.Columns)


def _without_positions(frames: Sequence[Frame]) -> Stack:
    """Radiographs, photographs and secondary captures: in the order of their numbers, on a grid of their own."""
    ordered = sorted(frames, key=lambda frame: frame.number)
    rows, columns = _size(frames[0])
    spacing = (*frames[0].spacing, frames[0].thickness or 1.0)
    return Stack(tuple(ordered), _geometry(np.zeros(3), spacing, np.eye(3), (columns, rows, len(frames))), False)


def _geometry(
    origin: FloatArray, spacing: tuple[float, float, float], directions: FloatArray, shape: tuple[int, int, int]
) -> Geometry:
    try:
        return Geometry.from_axes(origin, spacing, directions, shape)
    except ValueError as error:
        raise ImageError("The positions or pixel sizes in the DICOM headers make no sense.") from error


def _directions(axes: FloatArray) -> FloatArray:
    """3x3, columns are the directions along a row, along a column and of the normal; exactly perpendicular."""
    row, column = axes
    lengths = np.linalg.norm(axes, axis=1)
    if not np.allclose(lengths, 1, atol=0.01) or abs(row @ column) > 0.01:
        raise ImageError("The directions of rows and columns in the DICOM headers make no sense.")
    row = row / lengths[0]
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)], axis=1)


def _even_spacing(along: FloatArray) -> float:
    gaps = np.diff(along)
    if gaps.min() < SAME_PLACE_MM:
        raise ImageError(_several_at_one_place(along))
    spacing = float(along[-1] - along[0]) / len(gaps)
    regular = along[0] + spacing * np.arange(len(along))
    if np.abs(along - regular).max() > OFF_GRID * spacing or np.abs(gaps - spacing).max() > OFF_GRID * spacing:
        raise ImageError(
            f"The slices of the series are not evenly spaced (they are {gaps.min():.4g} to {gaps.max():.4g} mm apart): "
            "slices are missing, or were taken with different spacings. Send the complete series, or resample it."
        )
    return spacing


def _several_at_one_place(along: FloatArray) -> str:
    places = 1 + int((np.diff(along) >= SAME_PLACE_MM).sum())
    return (
        f"The series holds {len(along)} images at {places} positions (several times, contrasts or echoes): "
        "send the images of one of them."
    )


def _check_shear(positions: FloatArray, normal: FloatArray) -> None:
    whole = positions[-1] - positions[0]
    sideways = whole - (whole @ normal) * normal
    if np.linalg.norm(sideways) > SHEAR * np.linalg.norm(whole):
        raise ImageError(_SHEARED)
    offsets = positions - positions[0]
    offsets = offsets - np.outer(offsets @ normal, normal)
    step = float(np.linalg.norm(whole)) / (len(positions) - 1)
    if np.linalg.norm(offsets, axis=1).max() > max(SHEAR * float(np.linalg.norm(whole)), OFF_GRID * step):
        raise ImageError(_SHEARED)


def _is_flipped(ordered: Sequence[Frame]) -> bool:
    """Whether numbers decrease along the normal: by their trend, as some series repeat or skip a number."""
    numbers = np.array([frame.number for frame in ordered], dtype=np.float64)
    if len(numbers) < 2:
        return False
    places = np.arange(len(numbers)) - (len(numbers) - 1) / 2
    return bool((numbers - numbers.mean()) @ places < 0)
