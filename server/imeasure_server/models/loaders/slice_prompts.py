"""Prompts in 3D, as a network that looks at one slice after the other takes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imeasure_server.models.inference import ModelInputError, ModelInputs, Point
from imeasure_server.models.loaders.drawn_prompts import UInt8Array, enclosed_area, line_points

POINTS_OF_A_SCRIBBLE = 8
LABEL_SLICES = 7
"""Slices of a label without other prompts that the network is given: as many as SAM 2 remembers."""


@dataclass(eq=False)
class SlicePrompts:
    """What was prompted on one slice; (u, v) are the two other axes in their order.

    Attributes:
        points: (u, v), and whether it is of the object.
        box: (u, v) of its first and its last corner.
        mask: (u, v) 1 in the object.
    """

    points: list[tuple[float, float, bool]] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    mask: UInt8Array | None = None

    @property
    def shows_object(self) -> bool:
        """Whether there is more than points that are not of the object."""
        return self.box is not None or self.mask is not None or any(positive for _, _, positive in self.points)


@dataclass(frozen=True, eq=False)
class SliceRequest:
    """What a request asks, by slice.

    Attributes:
        axis: that is cut across.
        slices: prompts by index along the axis, in its order.
        first, last: slices that the object may reach.
        inside: points of the object, (x, y, z).
    """

    axis: int
    slices: dict[int, SlicePrompts]
    first: int
    last: int
    inside: tuple[Point, ...]


def slice_request(inputs: ModelInputs, shape: tuple[int, int, int]) -> SliceRequest:
    """Sort prompts, all of which lie inside a volume of that shape, into slices.

    Raises:
        ModelInputError: they cannot be taken; a sentence.
    """
    _refuse(inputs)
    axis = _axis(inputs)
    slices: dict[int, SlicePrompts] = {}
    first, last = (0, shape[axis] - 1) if inputs.roi is None else _roi_range(inputs.roi[axis], shape[axis])
    inside = list(inputs.foreground)
    for points, positive in ((inputs.foreground, True), (inputs.background, False)):
        _add_points(slices, points, positive, axis)
    for scribble in inputs.scribbles:
        along = line_points(scribble.points, 1.0)
        chosen = along[np.unique(np.linspace(0, len(along) - 1, POINTS_OF_A_SCRIBBLE).round().astype(int))]
        spread: list[Point] = [(float(x), float(y), float(z)) for x, y, z in chosen]
        _add_points(slices, spread, scribble.positive, axis)
        inside += spread if scribble.positive else []
    for box in inputs.boxes:
        low, high = round(box.lower[axis]), round(box.upper[axis])
        if high > low:
            first, last = max(first, low), min(last, high)
        on = slices.setdefault((low + high) // 2, SlicePrompts())
        if on.box is not None:
            raise ModelInputError("This model takes one box on a slice. Take the others away.")
        on.box = (*_plane(box.lower, axis), *_plane(box.upper, axis))
        middle = [(a + b) / 2 for a, b in zip(box.lower, box.upper, strict=True)]
        inside.append((middle[0], middle[1], middle[2]))
    _add_masks(slices, inputs, axis, shape)
    if not any(prompts.shows_object for prompts in slices.values()):
        raise ModelInputError("This model needs a point in the object, a box, a lasso, a scribble or a label.")
    if any(not first <= index <= last for index in slices):
        raise ModelInputError("Some prompts lie outside the box or the region of interest. Place them inside.")
    return SliceRequest(axis, dict(sorted(slices.items())), first, last, tuple(inside))


def _refuse(inputs: ModelInputs) -> None:
    if inputs.extreme_points:
        raise ModelInputError("This model takes no extreme points. Send points, boxes, lassos or scribbles.")
    if any(not box.positive for box in inputs.boxes):
        raise ModelInputError("This model takes no negative boxes. Use points that are not of the object.")
    if any(not lasso.positive for lasso in inputs.lassos):
        raise ModelInputError("This model takes no negative lassos. Use points that are not of the object.")


def _axis(inputs: ModelInputs) -> int:
    """The axis to cut across: the one that every lasso and flat box lies across, the third where there is a choice."""
    drawn = [lasso.points for lasso in inputs.lassos]
    drawn += [
        (box.lower, box.upper) for box in inputs.boxes if any(_is_flat((box.lower, box.upper), a) for a in range(3))
    ]
    for axis in (2, 1, 0):
        if all(_is_flat(points, axis) for points in drawn):
            return axis
    raise ModelInputError("Boxes and lassos must lie on slices of one direction. Draw each on a single slice.")


def _is_flat(points: tuple[Point, ...], axis: int) -> bool:
    return len({round(point[axis]) for point in points}) == 1


def _plane(point: Point, axis: int) -> tuple[float, float]:
    u, v = (point[other] for other in range(3) if other != axis)
    return u, v


def _add_points(
    slices: dict[int, SlicePrompts], points: tuple[Point, ...] | list[Point], positive: bool, axis: int
) -> None:
    for point in points:
        slices.setdefault(round(point[axis]), SlicePrompts()).points.append((*_plane(point, axis), positive))


def _add_masks(slices: dict[int, SlicePrompts], inputs: ModelInputs, axis: int, shape: tuple[int, int, int]) -> None:
    """Lassos, and the label on the slices that have prompts; of a label alone, some of its slices."""
    plane = tuple(size for other, size in enumerate(shape) if other != axis)
    for lasso in inputs.lassos:
        drawn = enclosed_area(lasso.points, shape)
        index = drawn.lower[axis]
        on = slices.setdefault(index, SlicePrompts())
        mask = np.zeros(plane, dtype=np.uint8) if on.mask is None else on.mask
        area = np.take(drawn.mask, 0, axis=axis)
        u, v = (low for other, low in enumerate(drawn.lower) if other != axis)
        mask[u : u + area.shape[0], v : v + area.shape[1]] |= area
        on.mask = mask
    if inputs.label is None:
        return
    labelled = np.flatnonzero(inputs.label.any(axis=tuple(other for other in range(3) if other != axis)))
    if not slices and len(labelled):
        chosen = np.unique(np.linspace(0, len(labelled) - 1, min(LABEL_SLICES, len(labelled))).round().astype(int))
        slices.update({int(index): SlicePrompts() for index in labelled[chosen]})
    for index in set(map(int, labelled)) & slices.keys():
        label = (np.take(inputs.label, index, axis=axis) > 0).astype(np.uint8)
        before = slices[index].mask
        slices[index].mask = label if before is None else label | before


def _roi_range(bounds: tuple[int, int], size: int) -> tuple[int, int]:
    return max(0, bounds[0]), min(size - 1, bounds[1])
