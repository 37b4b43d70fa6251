"""A simulated person: first prompts of every form, and corrections where the mask is most wrong."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Generator, Tensor

from imeasure_server.segmentation.network.encoding import PromptMaps
from segmentation.lesions import chance, uniform

Cell = tuple[float, float, float]
WITHOUT_CLICK = 0.15  # share of rounds in which the network only looks again at its own mask


def first_prompts(truth: Tensor, cell: float, generator: Generator) -> PromptMaps:
    """One click, two extreme points, a pen contour, a box, or a previous mask with its correction."""
    side = truth.shape[0]
    maps = PromptMaps.empty(side)
    mask = truth.numpy() > 0.5
    kind = uniform(generator, 0, 1)
    if kind < 0.28:
        pair = _extreme_points(mask, generator)
        if pair is not None:
            maps.add_pair(*pair, cell)
            return maps
    elif kind < 0.38:
        maps.stroke = _outline(mask, generator)
        return maps
    elif kind < 0.45:
        maps.box = _box(mask, generator)
        return maps
    elif kind < 0.53:  # somebody else's mask
        grown = torch.from_numpy(_spoiled(mask, generator)).float()
        maps.previous = 2 * grown - 1
        correct(maps, grown, truth, cell, generator)
        return maps
    maps.add_click(_inner_voxel(mask, generator), True, cell)
    if chance(generator, 0.08):
        outside = ndimage.binary_dilation(mask, iterations=4) & ~ndimage.binary_dilation(mask)
        if outside.any():
            maps.add_click(_any_voxel(outside, generator), False, cell)
    return maps


def correct(maps: PromptMaps, found: Tensor, truth: Tensor, cell: float, generator: Generator) -> None:
    """Add the click that a person would make next, and the mask that it corrects; now and then only the mask.

    Args:
        maps: changed.
        found: (x, y, z) 0 or 1, the mask so far.
        truth: (x, y, z) 0 or 1.
        cell: mm.
        generator: of random numbers.
    """
    mask, wanted = found.numpy() > 0.5, truth.numpy() > 0.5
    maps.previous = 2 * found - 1
    wrong = mask != wanted
    if not wrong.any() or (found.any() and chance(generator, WITHOUT_CLICK)):
        return
    depth = ndimage.distance_transform_cdt(np.pad(wrong, 1))[1:-1, 1:-1, 1:-1]
    deepest = depth >= max(1, int(depth.max() * (1.0 if chance(generator, 0.6) else 0.6)))
    voxel = _any_voxel(deepest, generator)
    positive = bool(wanted[int(voxel[0]), int(voxel[1]), int(voxel[2])])
    if chance(generator, 0.02):  # people slip
        voxel = _any_voxel(wanted if positive else ~wanted, generator)
    maps.add_click(voxel, positive, cell)


def _any_voxel(mask: NDArray[np.bool_], generator: Generator) -> Cell:
    found = np.flatnonzero(mask)
    x, y, z = np.unravel_index(found[int(torch.randint(len(found), (1,), generator=generator))], mask.shape)
    return float(x), float(y), float(z)


def _inner_voxel(mask: NDArray[np.bool_], generator: Generator) -> Cell:
    """Mostly deep inside, sometimes anywhere inside; a part of a cell beside the voxel's middle."""
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    share = 0.85 if chance(generator, 0.45) else uniform(generator, 0.0, 0.85)
    return _any_voxel(depth >= max(1, int(share * depth.max())), generator)


def _extreme_points(mask: NDArray[np.bool_], generator: Generator) -> tuple[Cell, Cell] | None:
    """The ends of the longest axis on the slice of largest area, a little beside their place; None when cut off."""
    areas = mask.sum(axis=(0, 1))
    k = int(areas.argmax())
    area = mask[:, :, k]
    outline = np.argwhere(area & ~ndimage.binary_erosion(area))
    side = mask.shape[0]
    if len(outline) < 2 or outline.min() == 0 or outline.max() == side - 1:
        return None
    squared = ((outline[:, None] - outline[None]) ** 2).sum(-1)
    i, j = np.unravel_index(int(squared.argmax()), squared.shape)
    slip = 0.04 * float(squared.max()) ** 0.5 if chance(generator, 0.6) else 0.0
    ends = []
    for end in (outline[i], outline[j]):
        shift = torch.randn(2, generator=generator).numpy() * slip
        x, y = np.clip(end + shift, 0, side - 1)
        ends.append((float(x), float(y), float(k)))
    return ends[0], ends[1]


def _outline(mask: NDArray[np.bool_], generator: Generator) -> Tensor:
    """A contour on one slice, drawn with an unsteady hand."""
    areas = mask.sum(axis=(0, 1))
    candidates = np.flatnonzero(areas >= (1.0 if chance(generator, 0.5) else 0.5) * areas.max())
    k = int(candidates[int(torch.randint(len(candidates), (1,), generator=generator))])
    drawn = mask[:, :, k]
    change = uniform(generator, 0, 1)
    if change < 0.25 and ndimage.binary_erosion(drawn).any():
        drawn = ndimage.binary_erosion(drawn)
    elif change < 0.55:
        drawn = ndimage.binary_dilation(drawn)
    result = torch.zeros(mask.shape)
    result[:, :, k] = torch.from_numpy(np.where(drawn, 1.0, -1.0)).float()
    return result


def _box(mask: NDArray[np.bool_], generator: Generator) -> Tensor:
    result = -torch.ones(mask.shape)
    found = np.argwhere(mask)
    lower, upper = found.min(0), found.max(0) + 1
    slack = 0.08 * (upper - lower)
    bounds = []
    for lo, up, s, n in zip(lower, upper, slack, mask.shape, strict=True):
        first = int(np.clip(round(lo + uniform(generator, -1.5, 0.5) * s), 0, n - 1))
        last = int(np.clip(round(up + uniform(generator, -0.5, 1.5) * s), first + 1, n))
        bounds.append(slice(first, last))
    result[bounds[0], bounds[1], bounds[2]] = 1.0
    return result


def _spoiled(mask: NDArray[np.bool_], generator: Generator) -> NDArray[np.bool_]:
    """A mask as another method, or a hasty person, might have left it."""
    steps = 1 + int(uniform(generator, 0, 4))
    kind = uniform(generator, 0, 1)
    if kind < 0.25:  # seen at a coarser resolution
        step = int(uniform(generator, 2, 5))
        coarse = ndimage.zoom(
            mask[::step, ::step, ::step].astype(np.float32), step, order=1, grid_mode=True, mode="nearest"
        )
        result = np.zeros(mask.shape, dtype=bool)
        block = tuple(slice(0, min(a, b)) for a, b in zip(mask.shape, coarse.shape, strict=True))
        result[block] = coarse[block] > 0.5
    elif kind < 0.45:
        result = ndimage.binary_dilation(mask, iterations=steps)
    elif kind < 0.7:
        result = ndimage.binary_erosion(mask, iterations=steps)
    else:
        shift = [int(uniform(generator, -steps, steps + 1)) for _ in range(3)]
        result = np.roll(mask, shift, axis=(0, 1, 2))
    return np.asarray(result if result.any() else mask)
