"""The minimum cut of a grid: the labelling that agrees best with the log odds and has the cheapest boundary."""

from __future__ import annotations

from typing import Any

import maxflow
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray

DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))
"""Neighbours across faces and edges: with faces alone a boundary is cheapest along the grid, and masks get corners."""
SHARE = 0.36
"""Of each direction. A boundary's cost per area is SHARE times the sum of |cosine| of its normal to all directions:
within 8 % the same whichever way it faces, and on the mean about that of the faces alone."""
HARD = 1e4  # log odds that no boundary outweighs


def min_cut(
    log_odds: npt.NDArray[Any],
    image: npt.NDArray[Any],
    spacing: FloatArray,
    edge_scale: float,
    stiffness: float,
) -> BoolArray:
    """Solve the two-label Potts model of Boykov and Funka-Lea (IJCV 2006) on an 18-neighbourhood.

    Weights follow Boykov and Kolmogorov, "Computing Geodesics and Minimal Surfaces via Graph Cuts" (ICCV 2003).

    Args:
        log_odds: (x, y, z) evidence for object per sample; ``±HARD`` fixes a sample.
        image: (x, y, z) intensities; a boundary is cheap where they change.
        spacing: (3,) mm between samples: a boundary costs what its area in mm² says.
        edge_scale: intensity difference that counts as an edge, > 0.
        stiffness: cost of a face between equal intensities, in log odds.

    Returns:
        (x, y, z) bool, the object.
    """
    graph = maxflow.GraphFloat(log_odds.size, len(DIRECTIONS) * log_odds.size)
    nodes = graph.add_grid_nodes(log_odds.shape)
    values = np.asarray(image, dtype=np.float64) / edge_scale
    mean_area = float((spacing.prod() / spacing).mean())
    for direction in DIRECTIONS:
        if any(step and count < 2 for step, count in zip(direction, log_odds.shape, strict=True)):
            continue
        here = tuple(slice(max(0, -step), min(n, n - step)) for step, n in zip(direction, log_odds.shape, strict=True))
        there = tuple(slice(max(0, step), min(n, n + step)) for step, n in zip(direction, log_odds.shape, strict=True))
        area = float(spacing.prod() / np.linalg.norm(direction * spacing)) / mean_area
        # Distance normalised: a step across a thick slice may show a larger change than one in plane.
        change = values[there] - values[here]
        weights = np.zeros(log_odds.shape)
        weights[here] = stiffness * SHARE * area * (0.06 + 0.94 * np.exp(-0.5 * change**2))
        structure = np.zeros((3, 3, 3))
        structure[tuple(1 + step for step in direction)] = 1
        graph.add_grid_edges(nodes, weights=weights, structure=structure, symmetric=True)
    evidence = np.asarray(log_odds, dtype=np.float64)
    graph.add_grid_tedges(nodes, np.maximum(evidence, 0.0), np.maximum(-evidence, 0.0))
    graph.maxflow()
    return np.asarray(~graph.get_grid_segments(nodes))
