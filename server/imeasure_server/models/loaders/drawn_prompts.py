"""Lines that somebody drew, as voxels: strokes, and the areas that closed lines enclose."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Geometry
from imeasure_server.models.inference import ModelInputError, ModelInputs, Point, PromptBox

UInt8Array = npt.NDArray[np.uint8]

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, eq=False)
class DrawnVoxels:
    """Part of a volume in which something was drawn.

    Attributes:
        lower: (x, y, z) of its first voxel.
        mask: (x, y, z), 1 where it was drawn.
    """

    lower: tuple[int, int, int]
    mask: UInt8Array

    @property
    def upper(self) -> tuple[int, int, int]:
        """(x, y, z) after its last voxel."""
        x, y, z = (low + size for low, size in zip(self.lower, self.mask.shape, strict=True))
        return x, y, z


def require_inside(inputs: ModelInputs, geometry: Geometry) -> None:
    """Raises:
    ModelInputError: a prompt lies outside the image.
    """
    points: list[Point] = [*inputs.foreground, *inputs.background, *inputs.extreme_points]
    for line in (*inputs.lassos, *inputs.scribbles):
        points += line.points
    for box in inputs.boxes:
        points += [box.lower, box.upper]
    if points and not geometry.contains(np.asarray(points, dtype=np.float64)).all():
        raise ModelInputError("A point, box or line lies outside the image. Place it inside.")
    if inputs.label is not None and inputs.label.shape != geometry.shape:
        raise ModelInputError("The label has another shape than the image. Send one of the image's shape.")


def slice_axis(points: tuple[Point, ...]) -> int | None:
    """The axis along which all points lie on one slice (the third before the others), or None."""
    rounded = np.rint(np.asarray(points, dtype=np.float64)).astype(int)
    flat = [axis for axis in (2, 1, 0) if (rounded[:, axis] == rounded[0, axis]).all()]
    return flat[0] if flat else None


def box_axis(box: PromptBox) -> int | None:
    """The axis along which a box is one slice thick, or None."""
    return slice_axis((box.lower, box.upper))


def enclosed_area(points: tuple[Point, ...], shape: tuple[int, int, int]) -> DrawnVoxels:
    """The voxels of a volume of that shape that a closed line on one slice encloses, those under it included.

    Raises:
        ModelInputError: it does not lie on one slice, or encloses nothing.
    """
    axis = slice_axis(points) if points else None
    if axis is None:
        raise ModelInputError("A lasso must lie on one slice. Draw it again on a single slice.")
    if len(points) < 3:
        raise ModelInputError("A lasso needs three points or more.")
    plane = [other for other in range(3) if other != axis]
    corners = np.asarray(points, dtype=np.float64)
    lower = np.floor(corners.min(axis=0)).astype(int)
    upper = np.ceil(corners.max(axis=0)).astype(int)
    lower[axis] = upper[axis] = round(points[0][axis])
    lower, upper = np.maximum(lower, 0), np.minimum(upper, np.asarray(shape) - 1)
    size = upper - lower + 1
    area = np.zeros((size[plane[1]], size[plane[0]]), dtype=np.uint8)
    fixed = np.rint((corners[:, plane] - lower[plane]) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(area, [fixed], (1,), cv2.LINE_8, _SUBPIXEL_BITS)
    return DrawnVoxels((int(lower[0]), int(lower[1]), int(lower[2])), np.expand_dims(area.T, axis))


def line_points(points: tuple[Point, ...], step: float = 0.5) -> npt.NDArray[np.float64]:
    """(n, 3) points along a line, at most ``step`` voxels apart, its corners among them."""
    corners = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    pieces = [corners[:1]]
    for start, end in pairwise(corners):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / step)))
        pieces.append(start + (end - start) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(pieces)


def stroke_voxels(points: tuple[Point, ...], shape: tuple[int, int, int], thickness: int) -> DrawnVoxels:
    """The voxels under a line of that thickness; thick within its slice only, if it lies on one."""
    axis = slice_axis(points)
    reach = np.arange(thickness) - (thickness - 1) // 2
    offsets = np.stack(np.meshgrid(*([0] if other == axis else reach for other in range(3)), indexing="ij"), axis=-1)
    centres = np.unique(np.rint(line_points(points)).astype(int), axis=0)
    voxels = (centres[:, None, :] + offsets.reshape(1, -1, 3)).reshape(-1, 3)
    voxels = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
    lower = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - lower + 1, dtype=np.uint8)
    mask[tuple((voxels - lower).T)] = 1
    return DrawnVoxels((int(lower[0]), int(lower[1]), int(lower[2])), mask)


def keep_inside_roi(
    mask: UInt8Array, roi: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
) -> UInt8Array:
    """A mask without what lies outside the region of interest (both ends inclusive)."""
    if roi is None:
        return mask
    kept = np.zeros_like(mask)
    inside = tuple(slice(max(0, low), high + 1) for low, high in roi)
    kept[inside] = mask[inside]
    return kept
