"""Where the network looks: the cubes that prompts and masks ask for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation.network.cube import Cube, Float32Array, box_of
from imeasure_server.segmentation.network.intensity import hounsfield_map
from imeasure_server.segmentation.prompts import Prompts
from imeasure_server.segmentation.strokes import stroke_mask
from imeasure_server.segmentation.usable_image import usable

SIDE = 48
EXTENTS = (16.0, 26.0, 42.0, 68.0, 110.0, 178.0, 288.0)  # mm, of the cubes that one click is seen in
PAIR_ROOM = 2.0  # of the distance between two extreme points
BOX_ROOM = 1.6  # of the longest edge of a box, a stroke or a mask
LEAST_EXTENT = 10.0  # mm
LEAST_CELL = 0.2  # mm


class View:
    """A volume as the network reads it.

    Attributes:
        array: (x, y, z), finite.
        spacing: (3,) mm.
        shape: of the volume.
        factor, offset: bring intensities to the network's range.
        noise_floor: differences of intensity below it mean nothing.
        is_ct: whether intensities are Hounsfield units.

    Raises:
        EmptySegmentationError: the image has one intensity only.
    """

    def __init__(self, volume: Volume) -> None:
        self.array, self.noise_floor = usable(volume.array)
        self.spacing: FloatArray = volume.geometry.spacing
        self.shape = volume.geometry.shape
        self.factor, self.offset = hounsfield_map(self.array)
        self.is_ct = self.factor == 1.0 and self.offset == 0.0

    def image(self, cube: Cube) -> Float32Array:
        """(side, side, side) intensities in the network's range."""
        return np.asarray(cube.sample(self.array) * self.factor + self.offset, dtype=np.float32)

    def cube(self, centre: npt.ArrayLike, extent: float) -> Cube:
        """A cube of ``extent`` mm around a continuous voxel index."""
        cell = max(extent / SIDE, LEAST_CELL)
        return Cube(np.asarray(centre, dtype=np.float64), cell, SIDE, self.spacing, self.shape)


def tell_size(prompts: Prompts) -> bool:
    """Whether first prompts say how big the object is."""
    return bool(prompts.extreme_pairs or prompts.strokes or prompts.box is not None)


def click_cubes(view: View, prompts: Prompts) -> list[Cube]:
    """Cubes of every size around positive clicks alone, smallest first."""
    clicks = np.array([point.position for point in prompts.points if point.positive])
    centre = (clicks.min(axis=0) + clicks.max(axis=0)) / 2
    length = float((np.ptp(clicks, axis=0) * view.spacing).max())
    whole = 2.0 * float((np.array(view.shape) * view.spacing).max())
    extents = [e for e in EXTENTS if e >= 1.3 * length and e < 1.6 * whole] or [max(1.6 * length, EXTENTS[0])]
    return [view.cube(centre, extent) for extent in extents]


def sized_cube(view: View, prompts: Prompts) -> Cube:
    """The cube that extreme points, strokes and a box ask for."""
    corners: list[FloatArray] = [np.array(point.position) for point in prompts.points if point.positive]
    room = BOX_ROOM
    for pair in prompts.extreme_pairs:
        corners += [np.array(pair.first), np.array(pair.second)]
        room = PAIR_ROOM
    if prompts.strokes:
        corners += list(box_of(stroke_mask(prompts.strokes, view.shape)))
        room = PAIR_ROOM
    if prompts.box is not None:
        corners += [np.array(prompts.box.lower) - 0.5, np.array(prompts.box.upper) + 0.5]
    lower, upper = np.min(corners, axis=0), np.max(corners, axis=0)
    return view.cube((lower + upper) / 2, max(room * float(((upper - lower) * view.spacing).max()), LEAST_EXTENT))


def mask_cube(view: View, mask: BoolArray, prompts: Prompts, room: float = BOX_ROOM) -> Cube:
    """The cube around a mask, all clicks and all strokes.

    Args:
        view: of the volume.
        mask: (x, y, z), not empty.
        prompts: all that must be seen.
        room: of the longest edge.
    """
    lower, upper = box_of(mask)
    for voxel in (*prompts.positive_voxels, *prompts.negative_voxels):
        lower, upper = np.minimum(lower, voxel), np.maximum(upper, voxel)
    if prompts.strokes:
        first, last = box_of(stroke_mask(prompts.strokes, view.shape))
        lower, upper = np.minimum(lower, first), np.maximum(upper, last)
    extent = max(room * float(((upper - lower) * view.spacing).max()), LEAST_EXTENT)
    return view.cube((lower + upper) / 2, extent)


def is_cut(cube: Cube, mask: BoolArray) -> bool:
    """Whether a mask on the voxels reaches a face of the cube where the volume goes on."""
    if not mask.any():
        return False
    lower, upper = box_of(mask)
    half = cube.extent / 2 / cube.voxel_spacing
    first, last = cube.centre - half, cube.centre + half
    slack = 1.5 * cube.cell / cube.voxel_spacing + 0.5
    below = (lower < first + slack) & (first > 0)
    above = (upper > last - slack) & (last < np.array(cube.shape) - 1)
    return bool((below | above).any())
