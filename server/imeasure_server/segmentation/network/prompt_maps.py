"""Prompts of a request as maps on a cube."""

from __future__ import annotations

import numpy as np
import torch

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.network.cube import Cube
from imeasure_server.segmentation.network.encoding import PromptMaps
from imeasure_server.segmentation.prompts import Prompts
from imeasure_server.segmentation.strokes import stroke_mask


def maps_on(cube: Cube, prompts: Prompts, previous: BoolArray | None) -> PromptMaps:
    """The prompts as the network sees them.

    Args:
        cube: where.
        prompts: clicks, pairs, strokes and box are taken from here.
        previous: (x, y, z) bool of the volume's shape: the mask to improve, or None.
    """
    maps = PromptMaps.empty(cube.side)
    for point in prompts.points:
        maps.add_click(cube.cell_of(point.position), point.positive, cube.cell)
    for pair in prompts.extreme_pairs:
        maps.add_pair(cube.cell_of(pair.first), cube.cell_of(pair.second), cube.cell)
    if prompts.strokes:
        maps.stroke = torch.from_numpy(_strokes(cube, prompts))
    if prompts.box is not None:
        lower, upper = np.array(prompts.box.lower) - 0.5, np.array(prompts.box.upper) + 0.5
        x, y, z = ((cube.positions(a) >= lower[a]) & (cube.positions(a) <= upper[a]) for a in range(3))
        maps.box = torch.from_numpy(np.where(x[:, None, None] & y[:, None] & z, 1.0, -1.0).astype(np.float32))
    if previous is not None:
        share = cube.sample(previous) * cube.inside()
        maps.previous = torch.from_numpy(np.where(share > 0.5, 1.0, -1.0).astype(np.float32))
    return maps


def _strokes(cube: Cube, prompts: Prompts) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """1 in what strokes enclose, -1 on the rest of their slices."""
    mask = stroke_mask(prompts.strokes, cube.shape)
    result = np.zeros((cube.side,) * 3, dtype=np.float32)
    xs, ys = (np.clip(np.rint(cube.positions(a)).astype(int), 0, cube.shape[a] - 1) for a in range(2))
    slices = cube.positions(2)
    # A stroke in the cube's middle lies half a cell from the nearest one, give or take a rounding error.
    half = 1.001 * max(0.5, 0.5 * cube.cell / float(cube.voxel_spacing[2]))
    for k in sorted({stroke.slice_index for stroke in prompts.strokes}):
        drawn = np.where(mask[:, :, k][np.ix_(xs, ys)], 1.0, -1.0).astype(np.float32)
        nearest = int(np.abs(slices - k).argmin())
        if abs(float(slices[nearest]) - k) <= half:
            result[:, :, nearest] = drawn
    return result
