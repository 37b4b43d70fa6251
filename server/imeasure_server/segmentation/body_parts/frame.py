"""A CT as the body lies: axes along the patient's, on a grid coarse enough to work on quickly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry, Volume
from imeasure_server.segmentation.engine import EmptySegmentationError
from imeasure_server.segmentation.working_grid import Float32Array, WorkingGrid

STEP = 2.0  # mm between samples
MOST_SAMPLES = 3_500_000
SLICES = 24  # samples along the body that are made at a time
MARGIN = 2.0  # steps around a sample that its mean reaches
LEAST_HU = -1100.0  # padding beyond the scanner's circle is far below air
AIR, FAT, SOFT = -300.0, (-150.0, -50.0), (0.0, 100.0)  # HU

NOT_CT = "This model reads CT in Hounsfield units, and this image is none: choose a CT, or another model."


@dataclass(frozen=True, eq=False)
class Frame:
    """The image, with axes nearest to the patient's: x to the left, y to the back, z to the head.

    Attributes:
        image: view of the volume's voxels in this order.
        grid: coarse samples over all of it.
        hu: (x, y, z) mean HU at the samples.
    """

    image: npt.NDArray[np.generic]
    grid: WorkingGrid
    hu: Float32Array
    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, volume: Volume) -> Frame:
        """Raises:
        EmptySegmentationError: the image is no CT.
        """
        check_ct(volume.array)
        order, flips = patient_axes(volume.geometry)
        image = _turned(volume.array, order, flips)
        spacing = volume.geometry.spacing[list(order)]
        x, y, z = image.shape
        extent = np.array(image.shape) * spacing
        step = STEP
        while float((extent / np.maximum(spacing, step)).prod()) > MOST_SAMPLES:
            step *= 1.1
        grid = WorkingGrid.around((np.array(image.shape) - 1) / 2, extent / 2, step, spacing, (x, y, z))
        return cls(image, grid, np.maximum(_sampled(image, grid), LEAST_HU), order, flips)

    @property
    def spacing(self) -> FloatArray:
        """(3,) mm between samples."""
        return self.grid.spacing

    def back(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Labels in this frame in the order of the volume's axes."""
        flipped = labels[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]
        return np.asarray(flipped.transpose(np.argsort(self.order)))


def patient_axes(geometry: Geometry) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which axis of the voxels runs along the patient's left-right, front-back and foot-head, and whether backwards."""
    directions = geometry.directions
    best, chosen = -1.0, (0, 1, 2)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        along = float(sum(abs(directions[axis, order[axis]]) for axis in range(3)))
        if along > best + 1e-9:
            best, chosen = along, order
    x, y, z = (bool(directions[axis, chosen[axis]] < 0) for axis in range(3))
    return chosen, (x, y, z)


def check_ct(array: npt.NDArray[np.generic]) -> None:
    """Refuse what is no CT: a CT shows air or lung, or fat and soft tissue, or soft tissue alone.

    Raises:
        EmptySegmentationError: a sentence.
    """
    sample = np.asarray(array[tuple(slice(None, None, max(1, n // 48)) for n in array.shape)], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise EmptySegmentationError(NOT_CT)
    air = float(((sample < AIR) & (sample > -3100)).mean())
    fat = float(((sample > FAT[0]) & (sample < FAT[1])).mean())
    soft = float(((sample > SOFT[0]) & (sample < SOFT[1])).mean())
    lowest, highest = (float(v) for v in np.percentile(sample, (1, 99)))
    body = soft > 0.02 and (fat > 0.01 or air > 0.01)
    lung_only = air > 0.3 and highest > -300 and lowest > -1300
    if lowest < -3100 or highest > 5000 or not (body or lung_only or soft > 0.7):
        raise EmptySegmentationError(NOT_CT)


def _turned(
    array: npt.NDArray[np.generic], order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> npt.NDArray[np.generic]:
    turned = array.transpose(order)
    return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def _sampled(image: npt.NDArray[np.generic], grid: WorkingGrid) -> Float32Array:
    """The image at the grid's positions, read a few slices at a time: it may be larger than the memory."""
    x, y, z = grid.positions
    parts = []
    for start in range(0, len(z), SLICES):
        here = z[start : start + SLICES]
        first = max(0, int(here[0] - MARGIN * grid.step[2]))
        last = min(image.shape[2], int(here[-1] + MARGIN * grid.step[2]) + 2)
        part = WorkingGrid((x, y, here - first), grid.step, grid.spacing)
        parts.append(part.sample(_finite(np.asarray(image[:, :, first:last]))))
    return np.concatenate(parts, axis=2)


def _finite(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if np.issubdtype(image.dtype, np.floating):
        return np.nan_to_num(np.asarray(image), nan=LEAST_HU, posinf=3071.0, neginf=LEAST_HU)
    return image


class Upsampling:
    """Coarse maps on the image's voxels, a few slices at a time, by linear interpolation.

    Args:
        grid: of the maps.
        shape: of the image.
    """

    def __init__(self, grid: WorkingGrid, shape: tuple[int, ...]) -> None:
        self._places = []
        for positions, n in zip(grid.positions, shape, strict=True):
            index = np.interp(np.arange(n), positions, np.arange(len(positions)))
            first = np.minimum(index.astype(np.int_), len(positions) - 1)
            second = np.minimum(first + 1, len(positions) - 1)
            self._places.append((first, second, (index - first).astype(np.float32)))

    def share(self, mask: BoolArray, slices: slice) -> Float32Array:
        """(x, y, slices) how much of each voxel a mask covers, 0 to 1."""
        first, second, part = (values[slices] for values in self._places[2])
        values = np.asarray(mask[:, :, first] * (1 - part) + mask[:, :, second] * part, dtype=np.float32)
        first, second, part = self._places[1]
        values = values[:, first] * (1 - part[:, None]) + values[:, second] * part[:, None]
        first, second, part = self._places[0]
        return np.asarray(values[first] * (1 - part[:, None, None]) + values[second] * part[:, None, None])
