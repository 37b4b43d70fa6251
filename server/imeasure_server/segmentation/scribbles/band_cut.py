"""The minimum cut in a band of voxels around a boundary, everything else being decided."""

from __future__ import annotations

from typing import Any

import maxflow
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.min_cut import DIRECTIONS, SHARE

LEAST_WEIGHT = 0.06


def band_cut(
    mask: BoolArray,
    band: BoolArray,
    log_odds: npt.NDArray[Any],
    image: npt.NDArray[Any],
    spacing: FloatArray,
    edge_scale: float,
    stiffness: float,
) -> BoolArray:
    """As ``min_cut``, for the voxels of ``band`` alone; the others keep what ``mask`` says and hold their neighbours.

    Args:
        mask: (x, y, z) bool.
        band: (x, y, z) bool, voxels to decide.
        log_odds: (n,) evidence for object of the band's voxels, in C order.
        image: (x, y, z) intensities.
        spacing: (3,) mm.
        edge_scale, stiffness: as of ``min_cut``.

    Returns:
        (x, y, z) bool, a new mask.
    """
    count = int(band.sum())
    result = mask.copy()
    if not count:
        return result
    number = np.full(mask.shape, -1, dtype=np.int32)
    number[band] = np.arange(count, dtype=np.int32)
    graph = maxflow.GraphFloat(count, len(DIRECTIONS) * count)
    nodes = graph.add_nodes(count)
    evidence = np.array(log_odds, dtype=np.float64)
    mean_area = float((spacing.prod() / spacing).mean())
    for direction in DIRECTIONS:
        if any(step and n < 2 for step, n in zip(direction, mask.shape, strict=True)):
            continue
        here = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(direction, mask.shape, strict=True))
        there = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(direction, mask.shape, strict=True))
        either = np.nonzero(band[here] | band[there])
        change = (image[there][either].astype(np.float64) - image[here][either]) / edge_scale
        area = float(spacing.prod() / np.linalg.norm(direction * spacing)) / mean_area
        weights = stiffness * SHARE * area * (LEAST_WEIGHT + (1 - LEAST_WEIGHT) * np.exp(-0.5 * change**2))
        first, second = number[here][either], number[there][either]
        free = (first >= 0) & (second >= 0)
        graph.add_edges(first[free], second[free], weights[free], weights[free])
        # A decided neighbour pulls its side's way.
        for own, other in ((first, mask[there][either]), (second, mask[here][either])):
            bound = (own >= 0) & ~free
            pull = np.where(other[bound], weights[bound], -weights[bound])
            evidence += np.bincount(own[bound], weights=pull, minlength=count)
    graph.add_grid_tedges(nodes, np.maximum(evidence, 0.0), np.maximum(-evidence, 0.0))
    graph.maxflow()
    result[band] = ~graph.get_grid_segments(nodes)
    return result
