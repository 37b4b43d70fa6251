"""Scribbles to a mask: likelihoods of intensities, a cut of a coarse grid, and one of the boundary's voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation.areas import IndexArray
from imeasure_server.segmentation.binding import CONNECTED
from imeasure_server.segmentation.engine import (
    Cancellation,
    EmptySegmentationError,
    SegmentationCancelled,
)
from imeasure_server.segmentation.extent import Block, block_of
from imeasure_server.segmentation.intensity_model import noise_level
from imeasure_server.segmentation.min_cut import HARD, min_cut
from imeasure_server.segmentation.scribbles.band_cut import band_cut
from imeasure_server.segmentation.scribbles.likelihood import LogOdds
from imeasure_server.segmentation.usable_image import usable
from imeasure_server.segmentation.working_grid import WorkingGrid

MOST_SAMPLES = 200_000  # of the coarse grid: bounds time
STIFFNESS = 1.6
SMOOTHING = 0.6  # voxels
RIM = 3  # voxels around the region, which are background where it ends inside the image

Fit = Callable[[FloatArray, FloatArray, float], LogOdds]


@dataclass(frozen=True, eq=False)
class Scribbles:
    """What was drawn, in a region of a volume.

    Attributes:
        object, other: (x, y, z) bool over ``block``.
        block: what is looked at; beyond it nothing is the object.
        elsewhere: (n, 3) voxels of the volume that were scribbled on beside the object, outside the block: they show
            what is not the object as well.
    """

    object: BoolArray
    other: BoolArray
    block: Block
    elsewhere: IndexArray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int_))


def segment_scribbles(
    volume: Volume,
    scribbles: Scribbles,
    fit: Fit,
    connected: bool = True,
    cancellation: Cancellation | None = None,
) -> BoolArray:
    """Segment what scribbles are on.

    Args:
        volume: any image.
        scribbles: both kinds; at least one voxel of ``object``.
        fit: of the likelihoods: ``histogram_odds`` or ``mixture_odds``.
        connected: keep only what hangs together with a scribble.
        cancellation: looked at between stages.

    Returns:
        (x, y, z) bool over ``scribbles.block``; scribbled voxels are as scribbled.

    Raises:
        EmptySegmentationError: the image is the same everywhere.
        SegmentationCancelled: ``cancellation`` was set.
    """
    spacing = volume.geometry.spacing
    array, floor = usable(np.asarray(volume.array[scribbles.block]))
    image = ndimage.gaussian_filter(array.astype(np.float32), SMOOTHING)
    _check(cancellation)
    noise = max(noise_level(_middle(image)), floor)
    odds = fit(image[scribbles.object].astype(float), _other_values(volume, scribbles, image), noise)
    grid = coarse_grid(image.shape, spacing)
    mask, band = _coarse(image, grid, scribbles, odds, noise)
    _check(cancellation)
    band &= ~scribbles.object & ~scribbles.other
    mask[scribbles.object], mask[scribbles.other] = True, False
    if band.any():
        block = block_of(band, margin=1)
        mask[block] = band_cut(
            mask[block], band[block], odds(image[band]), image[block], spacing, 2.0 * noise, STIFFNESS
        )
    return _touched(mask, scribbles.object) if connected else mask


def coarse_grid(shape: tuple[int, ...], spacing: FloatArray) -> WorkingGrid:
    """A grid over a whole block with at most about ``MOST_SAMPLES`` samples."""
    x, y, z = shape
    extent = np.array(shape) * spacing
    step = float(spacing.min())
    while float(np.ceil(extent / np.maximum(spacing, step)).prod()) > MOST_SAMPLES:
        step *= 1.1
    return WorkingGrid.around((np.array(shape) - 1) / 2, extent / 2, step, spacing, (x, y, z))


def _other_values(volume: Volume, scribbles: Scribbles, image: npt.NDArray[np.float32]) -> FloatArray:
    """Intensities of what is not the object: under the other scribbles, or along the region's rim without any."""
    values = image[scribbles.other].astype(float)
    if len(scribbles.elsewhere):
        places = scribbles.elsewhere[:: max(1, len(scribbles.elsewhere) // MOST_SAMPLES)]
        beyond = np.asarray(volume.array[tuple(places.T)], dtype=np.float64)
        values = np.concatenate([values, beyond[np.isfinite(beyond)]])
    if len(values):
        return values
    rim = np.ones_like(scribbles.object)
    inner = tuple(slice(RIM, -RIM) if n > 4 * RIM else slice(None) for n in rim.shape)
    rim[inner] = False
    rim &= ~scribbles.object
    if not rim.any():
        raise EmptySegmentationError("Nothing shows what is not the object: draw a background scribble.")
    return image[rim].astype(float)


def _coarse(
    image: npt.NDArray[np.float32], grid: WorkingGrid, scribbles: Scribbles, odds: LogOdds, noise: float
) -> tuple[BoolArray, BoolArray]:
    """The object as a coarse grid shows it, and the voxels near its boundary, both on the image's voxels."""
    seen = grid.sample(image)
    evidence = np.array(odds(seen), dtype=np.float64)
    if not np.all(grid.step == 1.0):  # the mean of two kinds is neither: let the voxels themselves vote
        evidence = grid.sample(odds(image)).astype(np.float64)
    for drawn, value in ((scribbles.other, -HARD), (scribbles.object, HARD)):
        evidence[tuple(_cells(grid, np.argwhere(drawn)).T)] = value
    cut = min_cut(evidence, seen, grid.spacing, 2.0 * max(noise_level(seen), noise * 0.25), STIFFNESS)
    x, y, z = image.shape
    if np.all(grid.step == 1.0) and cut.shape == image.shape:
        return cut, np.zeros_like(cut)
    near = ndimage.binary_dilation(cut, CONNECTED) & ~ndimage.binary_erosion(cut, CONNECTED, border_value=1)
    voxels = [np.arange(n) for n in (x, y, z)]
    picked = np.ix_(*(np.abs(p[None] - v[:, None]).argmin(axis=1) for p, v in zip(grid.positions, voxels, strict=True)))
    return np.ascontiguousarray(cut[picked]), np.ascontiguousarray(near[picked])


def _cells(grid: WorkingGrid, voxels: IndexArray) -> IndexArray:
    """(n, 3) the samples nearest to voxels."""
    columns = [
        np.clip(np.rint((voxels[:, axis] - p[0]) / step).astype(np.int_), 0, len(p) - 1)
        for axis, (p, step) in enumerate(zip(grid.positions, grid.step, strict=True))
    ]
    return np.stack(columns, axis=1)


def _touched(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    block = block_of(mask)
    labels, count = ndimage.label(mask[block])
    if count > 1:
        kept = np.zeros(count + 1, dtype=bool)
        kept[np.unique(labels[seeds[block]])] = True
        kept[0] = False
        mask[block] = kept[labels]
    return mask


def _middle(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Enough of an image to tell its noise."""
    return image[tuple(slice(max(0, n // 2 - 64), n // 2 + 64) for n in image.shape)]


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
