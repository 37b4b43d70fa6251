"""What clients write into ``params``: numbers and points, sometimes as strings that hold JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from imeasure_server.errors import BadRequest
from imeasure_server.models.inference import Point

Roi = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

MAX_ITEMS = 100_000
"""Points in one request; a scribble has hundreds."""


def json_object(text: str, what: str) -> dict[str, Any]:
    """The JSON object in ``text``; empty when there is no text.

    Raises:
        BadRequest: it holds something else.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(f"{what} is not valid JSON.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is not a JSON object.")
    return value


def items(params: Mapping[str, Any], name: str) -> list[Any]:
    """The list under ``name``, which may also be written as JSON in a string; empty where there is none.

    Raises:
        BadRequest: there is something else.
    """
    value = params.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            raise BadRequest(f"{name} is not a list.") from None
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise BadRequest(f"{name} is not a list of at most {MAX_ITEMS} items.")
    return value


def number(value: Any, name: str) -> float:
    """Raises:
    BadRequest: it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest(f"{name}: {_short(value)} is not a number.")
    return float(value)


def point(value: Any, name: str) -> Point:
    """``[x, y, z]``.

    Raises:
        BadRequest: it is something else.
    """
    if not isinstance(value, list) or len(value) != 3:
        raise BadRequest(f"{name}: {_short(value)} is not a point [x, y, z].")
    x, y, z = (number(item, name) for item in value)
    return x, y, z


def points(params: Mapping[str, Any], name: str) -> tuple[Point, ...]:
    """``[[x, y, z], ...]``; a single ``[x, y, z]`` counts as one point.

    Raises:
        BadRequest: it is something else.
    """
    values = items(params, name)
    if len(values) == 3 and not any(isinstance(value, list) for value in values):
        values = [values]
    return tuple(point(value, name) for value in values)


def label_values(params: Mapping[str, Any]) -> dict[str, int]:
    """Names and values of ``label_info``, ``[{"name", "id" or "idx"}, ...]``; the place counts where there is no value.

    Raises:
        BadRequest: it is something else.
    """
    values: dict[str, int] = {}
    for place, entry in enumerate(items(params, "label_info"), start=1):
        if not isinstance(entry, dict):
            raise BadRequest('label_info is a list of {"name", "id"}.')
        value = next((entry[key] for key in ("id", "idx", "labelID") if entry.get(key) is not None), place)
        values[str(entry.get("name", f"label_{place}"))] = int(number(value, "label_info"))
    return values


def region(params: Mapping[str, Any]) -> Roi | None:
    """``roi``, ``[x0, x1, y0, y1, z0, z1]`` with exclusive ends as MONAI Label takes it; inclusive here.

    Raises:
        BadRequest: it is something else.
    """
    values = items(params, "roi")
    if not values:
        return None
    if len(values) != 6:
        raise BadRequest("roi is [x0, x1, y0, y1, z0, z1].")
    x0, x1, y0, y1, z0, z1 = (round(number(value, "roi")) for value in values)
    return _span(x0, x1), _span(y0, y1), _span(z0, z1)


def _span(first: int, end: int) -> tuple[int, int]:
    lower, upper = min(first, end), max(first, end)
    return lower, max(lower, upper - 1)


def _short(value: Any) -> str:
    """The value as JSON, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
