"""Turns the clicks and pen strokes of a ``POST /seg`` request, in LPS mm, into prompts in voxels of the crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from imeasure_server.api.seg_schema import MAX_CLICKS, FieldErrors, InteractiveClick
from imeasure_server.errors import ClicksOutOfBounds, MagicPenNotAxial
from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry
from imeasure_server.segmentation.prompts import ExtremePair, PointPrompt, Prompts, Stroke

SAME_Z_MM = 0.01
SAME_OBLIQUE_SLICE_MM = 0.02  # each coordinate is rounded to 0.01 mm, so a distance along a slant can be twice off
ROUNDING_MM = 1e-6


@dataclass(frozen=True, eq=False)
class ClickGroup:
    """Points of one step of the interaction.

    Attributes:
        name: where they are in the request, as in ``clicks.1``.
        positive: whether they include or exclude.
        points: (n, 3) LPS mm.
    """

    name: str
    positive: bool
    points: FloatArray


def check_clicks(values: dict[str, Any], has_mask: bool, errors: FieldErrors) -> None:
    """Add a message when the clicks do not say where the object is, or mix the two forms."""
    if "clicks" not in values:
        return
    clicks = values["clicks"]
    strokes = values.get("magic_pen_points") or []
    groups = [click for click in clicks if isinstance(click, InteractiveClick)]
    messages = errors.setdefault("clicks", [])
    if groups and len(groups) != len(clicks):
        messages.append("Must be all points or all objects with mode and points, not both.")
    elif not clicks and not strokes and "magic_pen_points" in values:
        messages.append("At least one click entry is required")
    elif groups and not strokes and not has_mask and all(click.mode == "negative" for click in groups):
        messages.append("At least one positive click is required when there is neither a mask nor a pen stroke")
    if sum(len(click.points) for click in groups) > MAX_CLICKS:
        messages.append(f"Longer than maximum length {MAX_CLICKS}.")
    if not messages:
        del errors["clicks"]


def click_groups(clicks: list[Any]) -> list[ClickGroup]:
    """The steps of a valid request; all points of the static form are one positive step."""
    if clicks and not isinstance(clicks[0], InteractiveClick):
        return [ClickGroup("clicks", True, np.array(clicks, dtype=np.float64))]
    return [
        ClickGroup(f"clicks.{index}", click.mode == "positive", np.array(click.points, dtype=np.float64))
        for index, click in enumerate(clicks)
    ]


def build_prompts(
    groups: list[ClickGroup], strokes: list[Any], crop: Geometry, previous_mask: BoolArray | None
) -> Prompts:
    """Convert to voxel indices of the crop.

    Two points of one positive group are an extreme pair; all other points are single clicks. Strokes come after the
    clicks in order: the contract gives no common order of the two.

    Raises:
        MagicPenNotAxial: a stroke's points share neither Z nor a slice.
        ClicksOutOfBounds: a point lies in no voxel of the crop.
    """
    contours = [np.array(stroke, dtype=np.float64) for stroke in strokes]
    _check_axial(contours, crop)
    _check_bounds(groups, contours, crop)
    points: list[PointPrompt] = []
    pairs: list[ExtremePair] = []
    for order, group in enumerate(groups):
        positions = [(float(x), float(y), float(z)) for x, y, z in crop.to_voxel(group.points)]
        if group.positive and len(positions) == 2:
            pairs.append(ExtremePair(positions[0], positions[1], order))
        else:
            points += [PointPrompt(position, group.positive, order) for position in positions]
    pieces: list[Stroke] = []
    for order, contour in enumerate(contours, start=len(groups)):
        pieces += [Stroke(piece, order) for piece in slice_contour(crop.to_voxel(contour))]
    return Prompts(tuple(points), tuple(pairs), tuple(pieces), None, previous_mask)


def slice_contour(contour: FloatArray) -> list[FloatArray]:
    """Cut a flat contour along the slices that it crosses.

    A stroke on one slice stays whole. One drawn at a constant patient Z in an oblique volume crosses several slices;
    each gets the part of the contour that lies in its slab.

    Args:
        contour: (n, 3) continuous voxel indices of a closed flat polygon.

    Returns:
        polygons of at least three points, each with one integer z.
    """
    first, last = (int(np.floor(z + 0.5)) for z in (contour[:, 2].min(), contour[:, 2].max()))
    if first == last or np.ptp(contour[:, 2]) < 0.5:
        whole = contour.copy()
        whole[:, 2] = np.floor(contour[:, 2].mean() + 0.5)
        return [whole]
    pieces = []
    for index in range(first, last + 1):
        piece = _keep_above(_keep_above(contour, index - 0.5, 1.0), index + 0.5, -1.0)
        if len(piece) >= 3:
            piece[:, 2] = index
            pieces.append(piece)
    return pieces


def _keep_above(polygon: FloatArray, z: float, sign: float) -> FloatArray:
    """The part of a polygon with ``sign * (polygon_z - z) >= 0`` (Sutherland and Hodgman, 1974)."""
    kept: list[FloatArray] = []
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        from_start, from_end = sign * (start[2] - z), sign * (end[2] - z)
        if from_start >= 0:
            kept.append(start)
        if (from_start < 0) != (from_end < 0):
            kept.append(start + (end - start) * (from_start / (from_start - from_end)))
    return np.array(kept).reshape(-1, 3)


def _check_axial(contours: list[FloatArray], crop: Geometry) -> None:
    """One world Z; or, in a volume whose slices are not at one Z, one slice."""
    normal = crop.directions[:, 2]
    oblique = abs(normal[2]) < 1 - 1e-9
    wrong = []
    for index, contour in enumerate(contours):
        same_z = np.ptp(contour[:, 2]) <= SAME_Z_MM + ROUNDING_MM
        same_slice = oblique and np.ptp(contour @ normal) <= SAME_OBLIQUE_SLICE_MM + ROUNDING_MM
        if not (same_z or same_slice):
            wrong.append(f"{index}: The points differ by {np.ptp(contour[:, 2]):.2f} mm in Z.")
    if wrong:
        raise MagicPenNotAxial({"magic_pen_points": wrong})


def _check_bounds(groups: list[ClickGroup], contours: list[FloatArray], crop: Geometry) -> None:
    named = [(group.name, group.points) for group in groups]
    named += [(f"magic_pen_points.{index}", contour) for index, contour in enumerate(contours)]
    outside: dict[str, list[str]] = {}
    for name, points in named:
        field, _, entry = name.partition(".")
        for index in np.flatnonzero(~crop.contains(crop.to_voxel(points)))[:10]:
            place = f"{entry}.{index}" if entry else f"{index}"
            outside.setdefault(field, []).append(f"{place}: Not inside the crop.")
    if outside:
        raise ClicksOutOfBounds({field: messages[:20] for field, messages in outside.items()})
