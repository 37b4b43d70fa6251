"""The object near one new prompt, from the image there and from how deep in the error the click lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.binding import Edit
from imeasure_server.segmentation.intensity_model import IntensityModel, noise_level
from imeasure_server.segmentation.min_cut import HARD, min_cut
from imeasure_server.segmentation.working_grid import WorkingGrid

FINENESS = 6.0  # samples per depth
STIFFNESS = 1.2
THICKNESS = 1.8  # of the layer that is wrong, in depths
TAPER = 1.3  # how far to the sides it reaches, in depths (standard deviation)
RIGHT = 0.15  # weight of what the mask has right in the histogram of what is wrong
GEOMETRY = 2.0  # weight of the distance to the click against the image


def propose(array: npt.NDArray[Any], spacing: FloatArray, mask: BoolArray, edit: Edit, noise_floor: float) -> BoolArray:
    """Which voxels of ``edit.block`` the object has after the edit, before the rules of ``binding`` apply.

    A click in the middle of an error tells its size: the error's border is about as far away as the boundary that is
    known to be wrong. The image then decides where it lies.

    Returns:
        bool over ``edit.block``.
    """
    current = mask[edit.block]
    wrong = current != edit.positive
    extent = np.array(current.shape)
    step = max(edit.depth_mm / FINENESS, float((extent * spacing).max()) / 72.0)
    local_shape = (int(extent[0]), int(extent[1]), int(extent[2]))
    centre = np.array([c - s.start for c, s in zip(edit.centre, edit.block, strict=True)], dtype=np.float64)
    grid = WorkingGrid.around(centre, extent * spacing, step, spacing, local_shape)
    image = grid.sample(array[edit.block])
    noise = max(noise_level(image), noise_floor)
    image = ndimage.gaussian_filter(image, 0.5)
    picked = np.ix_(*(np.rint(p).astype(int) for p in grid.positions))
    wrong_there, region, core = wrong[picked], edit.region[picked], edit.core[picked]
    core[grid.nearest(centre)] = True
    distance = ndimage.distance_transform_edt(~core, sampling=grid.spacing) / edit.depth_mm
    away = ndimage.distance_transform_edt(wrong_there, sampling=grid.spacing) / edit.depth_mm
    # A click in the middle of a missed (or surplus) layer lies half its thickness from the mask's boundary: the
    # boundary moves by twice that there, and by less to the sides.
    moved = THICKNESS * np.exp(-0.5 * (distance / TAPER) ** 2)
    odds = GEOMETRY * np.clip(moved - away, -1.5, 1.0)
    flipped = np.clip(1.0 - distance, 0, 1) * wrong_there + RIGHT * (~wrong_there & (distance < 2.0))
    kept = (wrong_there & (distance > 1.0) & (moved < away - 0.5)).astype(np.float64)
    if kept.any():
        model = IntensityModel.fit(image, flipped, kept, noise, limit=2.0)
        odds = odds + model.log_odds(image) * min(1.0, 2.0 * model.separation)
        edge = 2.0 * max(noise, 0.7 * model.spread)
    else:
        edge = 2.0 * noise
    odds[~wrong_there | core] = HARD
    odds[wrong_there & ~region] = -HARD
    change = min_cut(odds, image, grid.spacing, edge, STIFFNESS) & wrong_there
    grown = _to_voxels(change | ~wrong_there, grid, local_shape)
    return np.asarray(np.where(grown & wrong, edit.positive, current))


def _to_voxels(change: BoolArray, grid: WorkingGrid, shape: tuple[int, int, int]) -> BoolArray:
    result = np.zeros(shape, dtype=bool)
    block = grid.block(shape)
    if np.all(grid.step == 1.0):
        result[block] = change
        return result
    signed = ndimage.distance_transform_edt(change, sampling=grid.spacing)
    signed -= ndimage.distance_transform_edt(~change, sampling=grid.spacing)
    result[block] = grid.upsample(signed, shape) > 0
    return result
