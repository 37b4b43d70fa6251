"""The default engine: a small 3D network that sees image, prompts and previous mask.

One click does not say how big the object is: the network looks at cubes of several sizes at once, and the smallest
one that holds its whole answer is kept. A second pass on a cube that fits the mask places the boundary. Corrections
are one pass around the mask; what they may change is decided by ``binding.py``.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.models.registry import WEIGHTS
from imeasure_server.segmentation.binding import bind, check_prompts, new_edits
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationCancelled
from imeasure_server.segmentation.network.cube import Cube, Float32Array, box_of
from imeasure_server.segmentation.network.encoding import CHANNELS, encode
from imeasure_server.segmentation.network.intensity import hounsfield_map
from imeasure_server.segmentation.network.prompt_maps import maps_on
from imeasure_server.segmentation.network.weights import load_network
from imeasure_server.segmentation.prompts import Prompts
from imeasure_server.segmentation.strokes import stroke_mask

SIDE = 48
EXTENTS = (24.0, 48.0, 96.0, 192.0, 384.0)  # mm, of the cubes that one click is seen in
PAIR_ROOM = 2.0  # of the distance between two extreme points
BOX_ROOM = 1.6  # of the longest edge of a box, a stroke or a mask
FILLED = 0.85  # of a cube's edge: an object that is longer needs a larger cube
LEAST_CELL = 0.25  # mm

log = logging.getLogger(__name__)


class NetworkEngine:
    """Promptable 3D network trained by this project; runs on the CPU or a GPU.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        weights: folder of the weights and their hashes.

    Raises:
        WeightsError: the weights are missing or broken.
    """

    name = "network"

    def __init__(self, device: str = "cpu", weights: Path = WEIGHTS) -> None:
        self.device = device
        self._network = load_network(weights).to(device)
        self._half = _half_precision_is_faster(self._network, device)

    def segment(self, volume: Volume, prompts: Prompts, cancellation: Cancellation | None = None) -> BoolArray:
        """Segment one object; see ``SegmentationEngine.segment``."""
        check_prompts(prompts, volume.geometry.shape)
        view = _View(volume)
        previous = prompts.previous_mask
        if previous is not None and previous.any():
            mask = np.asarray(previous, dtype=bool)
            if not new_edits(mask, prompts, view.spacing):
                return bind(mask, prompts, view.spacing)
            proposal = self._answer(view, [_correction_cube(view, mask, prompts)], prompts, mask)[0]
            return bind(_mask(view, *proposal), prompts, view.spacing)
        cubes = _first_cubes(view, prompts)
        answers = self._answer(view, cubes, prompts, None)
        _check(cancellation)
        cube, odds = _whole(answers, prompts)
        mask = _asked(_mask(view, cube, odds), prompts)
        if mask.any():
            fitted = _fitted_cube(view, mask, prompts)
            mask = _asked(_mask(view, *self._answer(view, [fitted], prompts, mask)[0]), prompts)
        if not mask.any():
            raise EmptySegmentationError("No object was found there: click inside the lesion.")
        return bind(ndimage.binary_fill_holes(mask), prompts, view.spacing)

    def _answer(
        self, view: _View, cubes: list[Cube], prompts: Prompts, previous: BoolArray | None
    ) -> list[tuple[Cube, Float32Array]]:
        """The network's log odds on each cube."""
        inputs = [
            encode(
                torch.from_numpy(cube.sample(view.array) * view.factor + view.offset),
                torch.from_numpy(cube.inside()),
                maps_on(cube, prompts, previous),
                cube.cell,
            )
            for cube in cubes
        ]
        odds = _run(self._network, torch.stack(inputs).to(self.device), self._half)
        return list(zip(cubes, odds.float().cpu().numpy()[:, 0], strict=True))


class _View:
    """A volume as the network reads it."""

    def __init__(self, volume: Volume) -> None:
        array: npt.NDArray[Any] = volume.array
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            finite = np.isfinite(array)
            lowest = float(array[finite].min()) if finite.any() else 0.0
            array = np.where(finite, array, np.asarray(lowest, dtype=array.dtype))
        if float(array.max()) == float(array.min()):
            raise EmptySegmentationError("The image has the same intensity everywhere: there is nothing to segment.")
        self.array = array
        self.spacing: FloatArray = volume.geometry.spacing
        self.shape = volume.geometry.shape
        self.factor, self.offset = hounsfield_map(array)

    def cube(self, centre: npt.ArrayLike, extent: float) -> Cube:
        cell = max(extent / SIDE, LEAST_CELL)
        return Cube(np.asarray(centre, dtype=np.float64), cell, SIDE, self.spacing, self.shape)


def _first_cubes(view: _View, prompts: Prompts) -> list[Cube]:
    """Where to look without a previous mask: one cube when the prompts tell the size, else several."""
    corners: list[FloatArray] = [np.array(point.position) for point in prompts.points if point.positive]
    room, sized = BOX_ROOM, False
    for pair in prompts.extreme_pairs:
        corners += [np.array(pair.first), np.array(pair.second)]
        room, sized = PAIR_ROOM, True
    if prompts.strokes:
        corners += list(box_of(stroke_mask(prompts.strokes, view.shape)))
        room, sized = PAIR_ROOM, True
    if prompts.box is not None:
        corners += [np.array(prompts.box.lower) - 0.5, np.array(prompts.box.upper) + 0.5]
        room, sized = BOX_ROOM, True
    lower, upper = np.min(corners, axis=0), np.max(corners, axis=0)
    centre = (lower + upper) / 2
    length = float(((upper - lower) * view.spacing).max())
    if sized:
        return [view.cube(centre, max(room * length, 4.0))]
    largest = float((np.array(view.shape) * view.spacing).max())
    extents = [e for e in EXTENTS if e >= 1.3 * length and e / 2 < largest] or [max(1.6 * length, EXTENTS[0])]
    return [view.cube(centre, extent) for extent in extents]


def _correction_cube(view: _View, mask: BoolArray, prompts: Prompts) -> Cube:
    lower, upper = box_of(mask)
    for voxel in (*prompts.positive_voxels, *prompts.negative_voxels):
        lower, upper = np.minimum(lower, voxel), np.maximum(upper, voxel)
    if prompts.strokes:
        first, last = box_of(stroke_mask(prompts.strokes, view.shape))
        lower, upper = np.minimum(lower, first), np.maximum(upper, last)
    return view.cube((lower + upper) / 2, max(BOX_ROOM * float(((upper - lower) * view.spacing).max()), 4.0))


def _fitted_cube(view: _View, mask: BoolArray, prompts: Prompts) -> Cube:
    return _correction_cube(view, mask, Prompts(points=tuple(p for p in prompts.points if p.positive)))


def _whole(answers: list[tuple[Cube, Float32Array]], prompts: Prompts) -> tuple[Cube, Float32Array]:
    """The answer on the smallest cube that holds the whole object; the last when none does."""
    for cube, odds in answers[:-1]:
        mask = odds > 0
        labels, _ = ndimage.label(mask)
        places = [
            tuple(int(np.clip(round(c), 0, cube.side - 1)) for c in cube.cell_of(v)) for v in prompts.positive_voxels
        ]
        wanted = [int(labels[place]) for place in places if labels[place]]
        if not wanted:
            continue
        lower, upper = box_of(np.isin(labels, wanted))
        known = np.argwhere(cube.inside() > 0)
        ends_low, ends_high = known.min(axis=0) - 0.5, known.max(axis=0) + 0.5
        cut = ((lower <= 0.5) & (ends_low < 0.5)) | ((upper >= cube.side - 1.5) & (ends_high > cube.side - 1.5))
        if not cut.any() and float((upper - lower).max()) <= FILLED * cube.side:
            return cube, odds
    return answers[-1]


def _mask(view: _View, cube: Cube, odds: Float32Array) -> BoolArray:
    result = np.zeros(view.shape, dtype=bool)
    block, values = cube.to_volume(odds)
    result[block] = values > 0
    return result


def _asked(mask: BoolArray, prompts: Prompts) -> BoolArray:
    """The parts of a mask that a prompt touches; the largest part when none is touched."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    wanted = {int(labels[voxel]) for voxel in prompts.positive_voxels} - {0}
    if prompts.strokes:
        wanted |= {int(v) for v in np.unique(labels[stroke_mask(prompts.strokes, _shape(mask))])} - {0}
    if not wanted:
        wanted = {int(np.bincount(labels.ravel())[1:].argmax()) + 1}
    return np.isin(labels, list(wanted))


def _shape(mask: BoolArray) -> tuple[int, int, int]:
    x, y, z = mask.shape
    return x, y, z


def _run(network: torch.nn.Module, inputs: Tensor, half: torch.dtype | None) -> Tensor:
    kind = inputs.device.type
    with torch.inference_mode(), torch.autocast(kind, dtype=half or torch.bfloat16, enabled=half is not None):
        result: Tensor = network(inputs)
    return result


def _half_precision_is_faster(network: torch.nn.Module, device: str) -> torch.dtype | None:
    """The 16-bit type to compute with, or None for fp32; on a CPU by trying, on CUDA always fp16."""
    if device.startswith("cuda"):
        return torch.float16
    if device != "cpu":
        return None
    probe = torch.zeros(1, CHANNELS, SIDE, SIDE, SIDE)
    seconds = {}
    for kind in (None, torch.bfloat16):
        _run(network, probe, kind)
        start = time.perf_counter()
        _run(network, probe, kind)
        seconds[kind] = time.perf_counter() - start
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.8 * seconds[None] else None


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
