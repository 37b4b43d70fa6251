"""Prompts of OHIF-AI: eight arrays, or ``prompt_info``, in voxel indices of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imeasure_server.api.monailabel.values import items, number, point
from imeasure_server.errors import BadRequest
from imeasure_server.models.inference import Point, Polyline, PromptBox

ALWAYS_ECHOED = ("pos_points", "neg_points", "pos_boxes", "neg_boxes")
KINDS = (*ALWAYS_ECHOED, "pos_lassos", "neg_lassos", "pos_scribbles", "neg_scribbles")

_SIGNS = {"click": True, "positive": True, "erase": False, "negative": False}
_NO_TEXTS = "No model of this server takes text prompts; send points, boxes, scribbles or lassos."


@dataclass
class OhifPrompts:
    """What a person pointed at.

    Attributes:
        points, boxes, lassos, scribbles: oldest first; a point is (position, whether it is positive).
        echo: ``prompt_info`` of the answer.
    """

    points: list[tuple[Point, bool]] = field(default_factory=list)
    boxes: list[PromptBox] = field(default_factory=list)
    lassos: list[Polyline] = field(default_factory=list)
    scribbles: list[Polyline] = field(default_factory=list)
    echo: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was pointed at."""
        return not (self.points or self.boxes or self.lassos or self.scribbles)


def read_prompts(params: Mapping[str, Any], slices: int, from_the_end: bool = False) -> OhifPrompts:
    """Read all forms of prompts.

    Args:
        params: of the request.
        slices: of the image.
        from_the_end: whether the client counts slices from the image's last one, as OHIF-AI's page does when
            InstanceNumber runs against the slices' positions.

    Raises:
        BadRequest: a prompt is malformed; a sentence.
    """
    arrays = {kind: list(items(params, kind)) for kind in KINDS}
    _add_prompt_info(params.get("prompt_info"), arrays)
    reader = _Reader(slices - 1 if from_the_end else None)
    for kind, values in arrays.items():
        for value in values:
            reader.read(kind, value)
    found = reader.prompts
    if found.is_empty and any(str(text).strip() for text in items(params, "texts")):
        raise BadRequest(_NO_TEXTS)
    found.echo = {kind: values for kind, values in arrays.items() if values or kind in ALWAYS_ECHOED}
    return found


class _Reader:
    """Turns values of the eight arrays into prompts."""

    def __init__(self, last_slice: int | None) -> None:
        self.prompts = OhifPrompts()
        self._last_slice = last_slice

    def read(self, kind: str, value: Any) -> None:
        sign, _, shape = kind.partition("_")
        positive = sign == "pos"
        if shape == "points":
            self.prompts.points.append((self._point(value, kind), positive))
        elif shape == "boxes":
            self.prompts.boxes.append(self._box(value, kind, positive))
        else:
            lines = self.prompts.lassos if shape == "lassos" else self.prompts.scribbles
            lines.append(self._line(value, kind, positive))

    def _point(self, value: Any, kind: str) -> Point:
        x, y, z = point(value, kind)
        return (x, y, z) if self._last_slice is None else (x, y, self._last_slice - z)

    def _box(self, value: Any, kind: str, positive: bool) -> PromptBox:
        """``[x1, y1, x2, y2, z]`` or ``[[x1, y1, z1], [x2, y2, z2]]``, corners in any order."""
        if isinstance(value, list) and len(value) == 5:
            x1, y1, x2, y2, z = value
            value = [[x1, y1, z], [x2, y2, z]]
        if not isinstance(value, list) or len(value) != 2:
            raise BadRequest(f"{kind}: a box is [x1, y1, x2, y2, z] or [[x1, y1, z1], [x2, y2, z2]].")
        first, second = (self._point(corner, kind) for corner in value)
        (x1, x2), (y1, y2), (z1, z2) = (sorted(pair) for pair in zip(first, second, strict=True))
        return PromptBox((x1, y1, z1), (x2, y2, z2), positive)

    def _line(self, value: Any, kind: str, positive: bool) -> Polyline:
        if not isinstance(value, list) or not value:
            raise BadRequest(f"{kind}: a line is a list of points [x, y, z].")
        return Polyline(tuple(self._point(corner, kind) for corner in value), positive)


def _add_prompt_info(prompt_info: Any, arrays: dict[str, list[Any]]) -> None:
    """Enter OHIF's list of prompts into the arrays; an answer's own ``prompt_info`` also is understood."""
    if prompt_info is None:
        return
    if isinstance(prompt_info, dict):
        for kind in KINDS:
            arrays[kind] += items(prompt_info, kind)
        return
    for prompt in items({"prompt_info": prompt_info}, "prompt_info"):
        if not isinstance(prompt, dict) or not isinstance(prompt.get("data"), dict):
            raise BadRequest('prompt_info is a list of {"type", "data"}.')
        kind, value = _prompt(str(prompt.get("type", "")), prompt["data"])
        arrays[kind].append(value)


def _prompt(shape: str, data: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The array that a prompt of OHIF's list belongs to, and its value there."""
    sign = _SIGNS.get(str(data.get("pointType", "click")))
    if sign is None:
        raise BadRequest('prompt_info: pointType is "click" for positive prompts and "erase" for negative ones.')
    prefix = "pos" if sign else "neg"
    if shape == "point":
        return f"{prefix}_points", [_of(data, "x"), _of(data, "y"), _of(data, "slice")]
    if shape == "box":
        x, y = _of(data, "x"), _of(data, "y")
        corner = [x + _of(data, "width"), y + _of(data, "height")]
        return f"{prefix}_boxes", [x, y, *corner, _of(data, "slice")]
    if shape in ("lasso", "scribble"):
        return f"{prefix}_{shape}s", items(data, "points") or items(data, "polyline")
    raise BadRequest("prompt_info: type is point, box, lasso or scribble.")


def _of(data: Mapping[str, Any], name: str) -> int | float:
    """The number as the client wrote it."""
    number(data.get(name), f"prompt_info: {name}")
    value: int | float = data[name]
    return value
