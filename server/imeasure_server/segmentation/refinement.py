"""From a candidate on its coarse grid to the volume's own voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.candidates import Candidate, tidy
from imeasure_server.segmentation.intensity_model import IntensityModel, noise_level
from imeasure_server.segmentation.min_cut import HARD, min_cut
from imeasure_server.segmentation.prompt_evidence import evidence_on
from imeasure_server.segmentation.prompts import Prompts
from imeasure_server.segmentation.working_grid import WorkingGrid

MOST_SAMPLES = 220_000  # of the fine grid: bounds time and memory
BAND = 0.25  # the boundary may move by this share of the radius
STIFFNESS = 2.0
SHAPE = 4.0  # log odds at the band's edge of staying with the candidate
ODDS_LIMIT = 1.5  # the candidate has decided what intensities could: here they only place the boundary


def refine(array: npt.NDArray[Any], voxel_spacing: FloatArray, candidate: Candidate, prompts: Prompts) -> BoolArray:
    """Cut again on a finer grid, in a band around the candidate's boundary.

    Returns:
        (x, y, z) bool of the volume's shape.
    """
    x, y, z = array.shape
    shape = (x, y, z)
    grid = _fine_grid(candidate, voxel_spacing, shape)
    signed = _resampled(candidate, grid)
    radius = candidate.radius
    band = max(BAND * radius, 1.5 * float(candidate.grid.spacing.max()))
    image = grid.sample(array)
    smooth = ndimage.gaussian_filter(image, np.minimum(0.08 * radius / grid.spacing, 2.0))
    noise = max(noise_level(smooth), candidate.noise * 0.25)
    inside = np.clip(signed / (0.4 * radius), 0.0, 1.0)
    outside = ((signed < -0.12 * radius) & (signed > -0.8 * radius)).astype(np.float64)
    model = IntensityModel.fit(smooth, inside, outside, noise, ODDS_LIMIT)
    evidence = evidence_on(grid, prompts, candidate.hypothesis, voxel_spacing, shape)
    odds = model.log_odds(smooth) + SHAPE * np.clip(signed / band, -1.0, 1.0) + evidence.odds
    odds[signed > band], odds[signed < -band] = HARD, -HARD
    odds[evidence.positive], odds[evidence.negative] = HARD, -HARD
    mask = min_cut(odds, smooth, grid.spacing, 2.0 * max(noise, 0.7 * model.spread), STIFFNESS)
    mask = tidy(mask, evidence, grid.spacing, 0.08 * radius)
    result = np.zeros(shape, dtype=bool)
    if not mask.any():
        return result
    if np.all(grid.step == 1.0):
        result[grid.block(shape)] = mask
        return result
    fine = ndimage.distance_transform_edt(mask, sampling=grid.spacing)
    fine -= ndimage.distance_transform_edt(~mask, sampling=grid.spacing)
    result[grid.block(shape)] = grid.upsample(fine, shape) > 0
    return result


def _fine_grid(candidate: Candidate, voxel_spacing: FloatArray, shape: tuple[int, int, int]) -> WorkingGrid:
    """Around the mask, as fine as the voxels or as the number of samples allows."""
    found = np.argwhere(candidate.mask)
    positions = candidate.grid.positions
    lower = np.array([positions[a][found[:, a].min()] for a in range(3)])
    upper = np.array([positions[a][found[:, a].max()] for a in range(3)])
    margin = np.maximum((BAND + 0.25) * candidate.radius, 2.0 * candidate.grid.spacing)
    reach = (upper - lower) / 2.0 * voxel_spacing + margin
    step = float(voxel_spacing.min())
    while True:
        spacing = np.maximum(voxel_spacing, step)
        if float((2.0 * reach / spacing + 1.0).prod()) <= MOST_SAMPLES:
            return WorkingGrid.around((lower + upper) / 2.0, reach, step, voxel_spacing, shape)
        step *= 1.1


def _resampled(candidate: Candidate, grid: WorkingGrid) -> FloatArray:
    """Signed distance in mm to the candidate's boundary, positive inside, at the samples of another grid."""
    coarse = candidate.grid
    signed = ndimage.distance_transform_edt(candidate.mask, sampling=coarse.spacing)
    signed -= ndimage.distance_transform_edt(~candidate.mask, sampling=coarse.spacing)
    index = [(own - p[0]) / s for own, p, s in zip(grid.positions, coarse.positions, coarse.step, strict=True)]
    coordinates = np.stack(np.meshgrid(*index, indexing="ij"))
    return np.asarray(ndimage.map_coordinates(signed, coordinates, order=1, mode="nearest"))
