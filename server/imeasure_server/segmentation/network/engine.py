"""The default engine: a small 3D network that sees image, prompts and previous mask.

Where the first prompts do not say how big the object is, cubes of several sizes are looked at and their answers joined
(``choice.py``). A second pass on a cube that fits the mask sees small objects and those that a cube has cut; the cube
grows while the mask reaches its faces. Corrections are the classical engine's local edits (``local_edit.py``); what
they may change is decided by ``binding.py``. Images that are no CT go to the classical engine, which is better there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.segmentation.binding import apply_edit, bind, check_prompts, new_edits
from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationCancelled
from imeasure_server.segmentation.extent import Block, block_of
from imeasure_server.segmentation.local_edit import propose
from imeasure_server.segmentation.network.choice import Candidate, candidate_of, described, expected_dice, joined
from imeasure_server.segmentation.network.cube import Cube, Float32Array
from imeasure_server.segmentation.network.evidence import LEAST_CHANGE, change_across, only_air
from imeasure_server.segmentation.network.inference import Predictor
from imeasure_server.segmentation.network.views import (
    BOX_ROOM,
    View,
    click_cubes,
    is_cut,
    mask_cube,
    sized_cube,
    tell_size,
)
from imeasure_server.segmentation.network.weights import load_network
from imeasure_server.segmentation.prompts import Index, PointPrompt, Prompts
from imeasure_server.segmentation.strokes import stroke_mask

PASSES = 3  # at most, on a cube that grows while the mask reaches its faces
GROWTH = 1.5
MIRRORINGS = 4
SMALL = 10.0  # mm: a smaller object is looked at again on a cube of its own
DOUBTFUL = 0.45  # expected Dice below which the image has to show a boundary

log = logging.getLogger(__name__)


class NetworkEngine:
    """Promptable 3D network trained by this project; runs on the CPU or a GPU.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        weights: folder of the weights and their hashes.
        precision: to compute in; None for the fastest on the device.

    Raises:
        WeightsError: the weights are missing or broken.
    """

    name = "network"

    def __init__(self, device: str = "cpu", weights: Path = WEIGHTS, precision: torch.dtype | None = None) -> None:
        self.device = device
        self._predictor = Predictor(load_network(weights), device, precision)
        self._classical = GraphCutEngine(device)
        log.info("The network computes in %s on %s.", self._predictor.precision, device)

    def segment(self, volume: Volume, prompts: Prompts, cancellation: Cancellation | None = None) -> BoolArray:
        """Segment one object; see ``SegmentationEngine.segment``."""
        check_prompts(prompts, volume.geometry.shape)
        view = View(volume)
        if not view.is_ct:
            return self._classical.segment(volume, prompts, cancellation)
        previous = prompts.previous_mask
        if previous is not None and previous.any():
            mask = np.asarray(previous, dtype=bool)
            return bind(self._corrected(view, mask, prompts, cancellation), prompts, view.spacing)
        if tell_size(prompts):
            mask = self._seen(view, sized_cube(view, prompts), prompts, None)
            mask = self._looked_again(view, mask, prompts, cancellation) if mask.any() else mask
        else:
            # What a negative click excludes is often outside anyway: then it says nothing new.
            positive = tuple(point for point in prompts.points if point.positive)
            mask = self._clicked(view, replace(prompts, points=positive), cancellation)
            if any(mask[voxel] for voxel in prompts.negative_voxels):
                mask = self._clicked(view, prompts, cancellation)
        if not mask.any():
            raise EmptySegmentationError("No object was found there: click inside the lesion.")
        block = block_of(mask)
        mask[block] = ndimage.binary_fill_holes(mask[block])
        return bind(mask, prompts, view.spacing)

    def _corrected(self, view: View, mask: BoolArray, prompts: Prompts, cancellation: Cancellation | None) -> BoolArray:
        """A mask with what new prompts change in it.

        The classical engine's local edit decides that: on the sts-ibsi patients it corrected better than the network
        did (model card).
        """
        for edit in new_edits(mask, prompts, view.spacing):
            _check(cancellation)
            if edit.detached:  # another part of the object, found as a first click is
                x, y, z = edit.centre
                negative = tuple(point for point in prompts.points if not point.positive)
                click = PointPrompt((float(x), float(y), float(z)), True)
                alone = Prompts(points=(click, *negative))
                part = self._clicked(view, alone, cancellation)
                proposal = part[edit.block] & (part.any() and _shows(view, part, alone))
            else:
                proposal = propose(view.array, view.spacing, mask, edit, view.noise_floor)
            mask = apply_edit(mask, edit, proposal)
        return mask

    def _clicked(self, view: View, prompts: Prompts, cancellation: Cancellation | None) -> BoolArray:
        """The object around positive clicks on a CT, which do not say how big it is; empty when there is none."""
        candidates, figures = self.candidates(view, prompts)
        _check(cancellation)
        if only_air(view.image(candidates[0].answer.cube)):
            return np.zeros(view.shape, dtype=bool)
        expected = expected_dice(figures)
        block, likely = joined(candidates, expected)
        mask = np.zeros(view.shape, dtype=bool)
        mask[block] = likely > 0.5
        mask = _asked(mask, prompts)
        best = candidates[int(expected.argmax())]
        if not mask.any():
            mask = _asked(mask_of(view, best.answer.cube, best.answer.odds), prompts)
        if mask.any() and (best.is_cut or _diameter(mask, view) < SMALL):
            mask = self._looked_again(view, mask, prompts, cancellation)
        several = sum(point.positive for point in prompts.points) > 1  # then there is something, however faint
        if mask.any() and not several and expected.max() < DOUBTFUL and not _shows(view, mask, prompts):
            return np.zeros(view.shape, dtype=bool)
        return mask

    def candidates(self, view: View, prompts: Prompts) -> tuple[list[Candidate], FloatArray]:
        """What cubes of several sizes around positive clicks show, smallest first, and their figures (``choice``)."""
        answers = self._predictor.look(view, click_cubes(view, prompts), prompts, None)
        clicks = [point.position for point in prompts.points if point.positive]
        candidates = [candidate_of(answer, clicks) for answer in answers]
        return candidates, described(candidates, [view.image(answer.cube) for answer in answers])

    def _looked_again(
        self, view: View, mask: BoolArray, prompts: Prompts, cancellation: Cancellation | None
    ) -> BoolArray:
        """The mask as seen on a cube that holds it."""
        room = BOX_ROOM
        for _ in range(PASSES):
            cube = mask_cube(view, mask, prompts, room)
            seen = self._seen(view, cube, prompts, mask)
            _check(cancellation)
            if not is_cut(cube, seen):
                break
            room *= GROWTH
        return seen

    def _seen(self, view: View, cube: Cube, prompts: Prompts, previous: BoolArray | None) -> BoolArray:
        """What the prompts ask for on one cube."""
        odds = self._predictor.look(view, [cube], prompts, previous, MIRRORINGS)[0].odds
        return _asked(mask_of(view, cube, odds), prompts)


def mask_of(view: View, cube: Cube, odds: Float32Array) -> BoolArray:
    """The voxels of the volume whose log odds are positive."""
    result = np.zeros(view.shape, dtype=bool)
    block, values = cube.to_volume(odds)
    result[block] = values > 0
    return result


def _diameter(mask: BoolArray, view: View) -> float:
    """Of the ball of the same volume, mm."""
    return float((6.0 / np.pi * mask.sum() * view.spacing.prod()) ** (1 / 3))


def _shows(view: View, mask: BoolArray, prompts: Prompts) -> bool:
    """Whether the image changes where the mask ends."""
    cube = mask_cube(view, mask, prompts)
    seen = np.asarray(cube.sample(mask) > 0.5)
    voxel = float(view.spacing.prod()) ** (1 / 3) / cube.cell
    change = change_across(view.image(cube), seen, cube.inside() > 0, voxel)
    return change is None or change >= LEAST_CHANGE


def _asked(mask: BoolArray, prompts: Prompts) -> BoolArray:
    """The parts of a mask that a prompt touches; the largest part when none is touched."""
    block = block_of(mask)
    labels, count = ndimage.label(mask[block])
    if count < 2:
        return mask
    wanted = {int(labels[voxel]) for voxel in _inside(prompts.positive_voxels, block)} - {0}
    if prompts.strokes:
        x, y, z = mask.shape
        wanted |= {int(v) for v in np.unique(labels[stroke_mask(prompts.strokes, (x, y, z))[block]])} - {0}
    if not wanted:
        wanted = {int(np.bincount(labels.ravel())[1:].argmax()) + 1}
    result = np.zeros_like(mask)
    result[block] = np.isin(labels, list(wanted))
    return result


def _inside(voxels: Sequence[Index], block: Block) -> list[Index]:
    """Those in a block, in voxels of the block."""
    found = []
    for voxel in voxels:
        if all(part.start <= v < part.stop for v, part in zip(voxel, block, strict=True)):
            x, y, z = (v - part.start for v, part in zip(voxel, block, strict=True))
            found.append((x, y, z))
    return found


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
