"""What clients send to ``/v1/fixpolygon``, and polygons as they travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imeasure_server.api.monailabel.values import items, number
from imeasure_server.errors import BadRequest
from imeasure_server.segmentation.polygons.editing import VertexMove
from imeasure_server.segmentation.polygons.outlines import Polygon

MAX_COORDINATE = 1 << 20


@dataclass(frozen=True, eq=False)
class PolygonEdit:
    """A vertex that was moved.

    Attributes:
        polygons: of every slice, before the move; one slice only when `slice_index` is None.
        move: on its slice.
        slice_index: of a volume; None for a picture.
        slices: how many on each side follow.
    """

    polygons: list[list[Polygon]]
    move: VertexMove
    slice_index: int | None
    slices: int


def read_edit(params: Mapping[str, Any], turned: bool) -> PolygonEdit:
    """Read either form: ``poly`` and a ``vertex_offset``, or ``prev_poly`` and the ``poly`` that it became.

    Args:
        params: of the request; names in snake_case or camelCase.
        turned: whether points are ``[y, x]``.

    Raises:
        BadRequest: something is missing or malformed; a sentence.
    """
    given = {_snake(name): value for name, value in params.items()}
    depth = _is_3d(given)
    current = _polygons(given, "prev_poly", depth, turned) or _polygons(given, "poly", depth, turned)
    if not current:
        raise BadRequest("Send the polygons in poly.")
    slice_index = _index(given, "slice_index") if depth else None
    polygon, vertex = _index(given, "polygon_index"), _index(given, "vertex_index")
    offset = _offset(given, current, (slice_index or 0, polygon, vertex), depth, turned)
    neighbours = _count(given, "propagate_neighbor")
    slices = _count(given, "propagate_neighbor_3d") if depth else 0
    return PolygonEdit(current, VertexMove(polygon, vertex, offset, neighbours), slice_index, slices)


def to_wire(polygons: Sequence[Sequence[Polygon]], turned: bool) -> list[list[list[list[int]]]]:
    """Polygons of every slice as JSON."""
    return [[(polygon[:, ::-1] if turned else polygon).tolist() for polygon in on_slice] for on_slice in polygons]


def from_wire(value: Any, name: str, turned: bool) -> list[Polygon]:
    """The polygons of one slice from JSON.

    Raises:
        BadRequest: they are none.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(polygon, list) for polygon in value):
        raise BadRequest(f"{name} is a list of polygons, each a list of [x, y] points.")
    return [_polygon(polygon, name, turned) for polygon in value]


def _polygon(points: list[Any], name: str, turned: bool) -> Polygon:
    pairs = []
    for point in points:
        if not isinstance(point, list) or len(point) not in (0, 2):
            raise BadRequest(f"{name} is a list of polygons, each a list of [x, y] points.")
        if point:
            pair = [min(max(number(value, name), -MAX_COORDINATE), MAX_COORDINATE) for value in point]
            pairs.append(pair[::-1] if turned else pair)
    return np.rint(np.asarray(pairs, dtype=np.float64).reshape(-1, 2)).astype(np.int32)


def _polygons(given: Mapping[str, Any], name: str, depth: bool, turned: bool) -> list[list[Polygon]]:
    values = items(given, name)
    if not values:
        return []
    return [from_wire(value, name, turned) for value in (values if depth else [values])]


def _is_3d(given: Mapping[str, Any]) -> bool:
    dimension = given.get("dimension")
    if dimension is None:
        return "slice_index" in given
    if number(dimension, "dimension") not in (2, 3):
        raise BadRequest("dimension is 2 or 3.")
    return int(dimension) == 3


def _offset(
    given: Mapping[str, Any], current: list[list[Polygon]], place: tuple[int, int, int], depth: bool, turned: bool
) -> tuple[float, float]:
    values = items(given, "vertex_offset")
    if values:
        if len(values) != 2:
            raise BadRequest("vertex_offset is [x, y].")
        x, y = (min(max(number(value, "vertex_offset"), -MAX_COORDINATE), MAX_COORDINATE) for value in values)
        return (y, x) if turned else (x, y)
    if not given.get("prev_poly"):
        raise BadRequest("Send a vertex_offset, or the polygons before the move in prev_poly.")
    after = _polygons(given, "poly", depth, turned)
    try:
        index, polygon, vertex = place
        moved = after[index][polygon][vertex] - current[index][polygon][vertex]
    except IndexError:
        raise BadRequest("There is no such slice, polygon or vertex in both poly and prev_poly.") from None
    return float(moved[0]), float(moved[1])


def _index(given: Mapping[str, Any], name: str) -> int:
    if given.get(name) is None:
        raise BadRequest(f"Send {name}: which one was moved, beginning at 0.")
    value = number(given[name], name)
    if value != int(value) or value < 0:
        raise BadRequest(f"{name} is a whole number, beginning at 0.")
    return int(value)


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    return 0 if value is None else max(0, round(number(value, name)))


def _snake(name: str) -> str:
    """``polygonIndex`` to ``polygon_index``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
